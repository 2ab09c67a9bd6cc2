"""Whose caps a call counts against, and when a cap renews. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from leadflood.engine.net.book import Purchase

DAYS_OF_LONGEST_MONTH = 31


class Move(msgspec.Struct, frozen=True):
    """An amount on a scope, such as `run:<id>` or `provider:hunter:day:2026-01-05`."""

    scope: str
    micros: int


def moves_of(purchase: Purchase, micros: int, shares: Sequence[int]) -> list[Move]:
    """List what an amount counts against; free calls count against nothing."""
    if micros == 0:
        return []
    day, month = day_of(purchase.made_at), month_of(purchase.made_at)
    moves = [
        Move(f"all:day:{day}", micros),
        Move(f"all:month:{month}", micros),
        Move(f"provider:{purchase.provider}:day:{day}", micros),
        Move(f"provider:{purchase.provider}:month:{month}", micros),
    ]
    if purchase.run_id is not None:
        moves.append(Move(f"run:{purchase.run_id}", micros))
        moves += [
            Move(lead_scope(purchase, subject), share)
            for subject, share in zip(purchase.subjects, shares, strict=True)
        ]
    return moves


def lead_scope(purchase: Purchase, subject: str) -> str:
    """Name the scope of one subject within a run."""
    return f"lead:{purchase.run_id}:{subject}"


def day_of(instant: datetime) -> str:
    """Name the UTC day."""
    return instant.strftime("%Y-%m-%d")


def month_of(instant: datetime) -> str:
    """Name the UTC month."""
    return instant.strftime("%Y-%m")


def seconds_to_next_day(instant: datetime) -> float:
    """Tell when a day's cap renews."""
    start = instant.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return (start + timedelta(days=1) - instant).total_seconds()


def seconds_to_next_month(instant: datetime) -> float:
    """Tell when a month's cap renews."""
    start = instant.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    following = (start + timedelta(days=DAYS_OF_LONGEST_MONTH + 1)).replace(day=1)
    return (following - instant).total_seconds()
