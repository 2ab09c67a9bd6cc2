"""Budget scopes: whose caps a call counts against, and when a cap renews. Pure."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from uuid import UUID

import msgspec

from leadflood.engine.net.ledger_port import Purchase

DAYS_OF_LONGEST_MONTH = 31


class Charge(msgspec.Struct, frozen=True):
    """An amount, the scopes that bear it whole, and the leads that bear a share each."""

    micros: int
    scopes: tuple[str, ...] = ()
    leads: tuple[tuple[str, int], ...] = ()

    def add_to(self, amounts: dict[str, int]) -> None:
        """Add to amounts by scope."""
        for scope in self.scopes:
            amounts[scope] = amounts.get(scope, 0) + self.micros
        for scope, share in self.leads:
            amounts[scope] = amounts.get(scope, 0) + share


RUN_SCOPES = ("lead:", "run:")
"""The beginnings of scopes that name a run: they end with it."""
_NOTHING = Charge(0)


def charge_of(
    purchase: Purchase, micros: int, shares: Sequence[int], *, has_lead_cap: bool, user: str = ""
) -> Charge:
    """Return the scopes an amount counts against; free calls count against none.

    `user`: whose run it is; empty: nobody's.
    """
    if micros == 0:
        return _NOTHING
    scopes = _scopes(purchase.provider, purchase.run_id, purchase.made_at.date(), user)
    if purchase.run_id is None or not has_lead_cap:
        return Charge(micros, scopes)
    leads = [
        (f"lead:{purchase.run_id}:{subject}", share)
        for subject, share in zip(purchase.subjects, shares, strict=True)
    ]
    return Charge(micros, scopes, tuple(leads))


@lru_cache(maxsize=4096)
def _scopes(provider: str, run_id: UUID | None, day: date, user: str) -> tuple[str, ...]:
    month = f"{day:%Y-%m}"
    scopes: tuple[str, ...] = (
        f"all:day:{day}",
        f"all:month:{month}",
        f"provider:{provider}:day:{day}",
        f"provider:{provider}:month:{month}",
    )
    if user:
        scopes = (*scopes, f"user:{user}:day:{day}")
    return scopes if run_id is None else (*scopes, f"run:{run_id}")


def seconds_to_next_day(instant: datetime) -> float:
    """Return how many seconds are left until the caps of a day renew."""
    start = instant.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return (start + timedelta(days=1) - instant).total_seconds()


def seconds_to_next_month(instant: datetime) -> float:
    """Return how many seconds are left until the caps of a month renew."""
    start = instant.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    following = (start + timedelta(days=DAYS_OF_LONGEST_MONTH + 1)).replace(day=1)
    return (following - instant).total_seconds()
