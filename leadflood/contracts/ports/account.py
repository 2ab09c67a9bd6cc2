"""Asking a provider about our own account: is the key good, what is used, what is left."""

from datetime import datetime
from decimal import Decimal
from typing import Protocol, runtime_checkable

import msgspec


class CreditUsage(msgspec.Struct, frozen=True, kw_only=True):
    """What the provider has counted in its current cycle; None: it does not tell."""

    used: Decimal | None = None
    left: Decimal | None = None
    renews_at: datetime | None = None


@runtime_checkable
class AccountReader(Protocol):
    """Can tell about our account there, at no cost: for `doctor` and for reconciliation."""

    name: str

    async def check_key(self) -> None:
        """Ask whether the key is accepted; raises ProviderKeyRefused when it is not."""

    async def read_usage(self) -> CreditUsage:
        """Read what this cycle has used; raises Unsupported where it cannot."""
