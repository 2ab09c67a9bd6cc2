"""Checking that an address exists."""

from datetime import datetime
from typing import Protocol, runtime_checkable

import msgspec

from leadflood.contracts.facts import FoundValue
from leadflood.contracts.values import EmailStatus, Micros


class EmailVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a verifier says, when; `value` is the same as a storable `email_status`."""

    status: EmailStatus
    observed_at: datetime
    value: FoundValue
    cost_micros: Micros = 0
    cached: bool = False


@runtime_checkable
class EmailVerifier(Protocol):
    """Can check an address."""

    name: str

    async def verify(self, email: str, subject_id: str) -> EmailVerdict:
        """Check one address; Throttled while the check is still running."""
