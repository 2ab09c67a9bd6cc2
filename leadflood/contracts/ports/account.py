"""Our account at a provider: whether the key is accepted, what is used, what is left."""

from datetime import datetime
from decimal import Decimal
from typing import Protocol, runtime_checkable

import msgspec


class CreditUsage(msgspec.Struct, frozen=True, kw_only=True):
    """The provider's counts of its current cycle; None where it does not say."""

    used: Decimal | None = None
    left: Decimal | None = None
    renews_at: datetime | None = None


@runtime_checkable
class AccountReader(Protocol):
    """Reports on our account there, at no cost: for `doctor` and for reconciliation."""

    name: str

    async def check_key(self) -> None:
        """Check that the key is accepted.

        Raises: ProviderKeyRefused when it is not.
        """

    async def read_usage(self) -> CreditUsage:
        """Return what this cycle has used.

        Raises: Unsupported where the provider does not say.
        """
