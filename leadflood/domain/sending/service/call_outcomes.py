"""The outcome of a call's error for the person written to."""

from leadflood.contracts.errors import ProviderChanged, ProviderKeyRefused
from leadflood.domain.sending.rules.transitions import SendOutcome
from leadflood.engine.errors import (
    CapSpent,
    Denied,
    NotConfigured,
    Permanent,
    Throttled,
    Transient,
    Unsure,
    code_of,
)
from leadflood.engine.net.calls import Cut
from leadflood.engine.queue.outcome import Cancelled
from leadflood.engine.text import make_storable

_MAX_DETAIL_CHARS = 500
_NOTHING = (NotConfigured, ProviderKeyRefused, CapSpent)
"""Permanent errors of a call that reached nobody and goes well once a person has done something."""
_OUTCOMES: tuple[tuple[tuple[type[BaseException], ...], SendOutcome], ...] = (
    ((Cancelled, Denied), SendOutcome.FORBIDDEN),
    ((Unsure, Cut, ProviderChanged), SendOutcome.UNSURE),
    ((Transient, Throttled, *_NOTHING), SendOutcome.NOTHING),
    ((Permanent,), SendOutcome.REFUSED),
)


def outcome_of(error: BaseException | None) -> SendOutcome:
    """Return what an error of a call means; only what certainly did nothing counts as nothing."""
    if error is None:
        return SendOutcome.ACCEPTED
    return next(
        (outcome for kinds, outcome in _OUTCOMES if isinstance(error, kinds)), SendOutcome.BROKEN
    )


def final_outcome_of(error: Exception) -> SendOutcome:
    """Return what the last error of a job means: a harmless one ends its send too."""
    outcome = outcome_of(error)
    return SendOutcome.REFUSED if outcome is SendOutcome.NOTHING else outcome


def explain(error: BaseException | None) -> tuple[str, str]:
    """Return an error's code and text, short enough to keep."""
    if error is None:
        return "", ""
    return code_of(error), make_storable(str(error))[:_MAX_DETAIL_CHARS]
