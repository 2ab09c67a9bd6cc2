"""E-mail verification: whether an address exists."""

from datetime import datetime
from typing import Protocol, runtime_checkable

import msgspec

from leadflood.contracts.found_values import FoundValue
from leadflood.contracts.values import EmailStatus, Micros


class EmailVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """A verifier's verdict on an address.

    Attributes:
        status: The verdict.
        observed_at: When it was given.
        value: The verdict as a value of `email_status`, to be stored.
        cost_micros: What it cost.
        cached: Whether it was paid for earlier.
    """

    status: EmailStatus
    observed_at: datetime
    value: FoundValue
    cost_micros: Micros = 0
    cached: bool = False


@runtime_checkable
class EmailVerifier(Protocol):
    """Verifies addresses."""

    name: str

    async def verify(self, email: str, subject_id: str) -> EmailVerdict:
        """Verify one address.

        Raises: Throttled while the check is still running.
        """
