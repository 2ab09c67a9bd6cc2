"""How far a run is. Pure."""

from leadflood.domain.runs.schemas import Funnel


def progress_ratio(funnel: Funnel, *, is_running: bool) -> float | None:
    """Return how far a run is, 0 to 1; None: nothing is found yet."""
    if not is_running:
        return 1.0
    return (funnel.scored + funnel.failed) / funnel.found if funnel.found else None


def cap_used_micros(funnel: Funnel) -> int:
    """Return what counts against a run's cap."""
    return funnel.spent_micros + funnel.reserved_micros + funnel.unresolved_micros
