"""How far a run is, and what it may cost. Pure."""

from leadflood.domain.runs.schemas import Funnel


def progress_ratio(funnel: Funnel, *, is_running: bool) -> float | None:
    """Return how far a run is, 0 to 1; None: nothing is found yet."""
    if not is_running:
        return 1.0
    return (funnel.scored + funnel.failed) / funnel.found if funnel.found else None


def cap_used_micros(funnel: Funnel) -> int:
    """Return what counts against a run's cap."""
    return funnel.spent_micros + funnel.reserved_micros + funnel.unresolved_micros


def settle_cap(requested: int | None, highest: int | None, may_exceed: bool) -> int | None:  # noqa: FBT001
    """Return the cap that a run gets; `highest` is that of the settings. None is no cap."""
    if requested is None or highest is None:
        return highest if requested is None else requested
    return requested if may_exceed else min(requested, highest)
