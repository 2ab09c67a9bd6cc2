import pytest
from leadflood.contracts.errors import (
    ProviderChanged,
    ProviderKeyRefused,
    ProviderRefused,
    ProviderThrottled,
)
from leadflood.domain.sending.rules.transitions import SendOutcome
from leadflood.domain.sending.service.call_outcomes import outcome_of
from leadflood.engine.errors import Denied, NotConfigured, Throttled, Transient, Unsure
from leadflood.engine.net.calls import Cut, Oversized, Unreached
from leadflood.engine.queue.outcome import Cancelled


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, SendOutcome.ACCEPTED),
        (Unreached("connection refused"), SendOutcome.NOTHING),
        (Transient("cut before the final dot"), SendOutcome.NOTHING),
        (ProviderThrottled("429", 3.0), SendOutcome.NOTHING),
        (Throttled("snooze", 3.0), SendOutcome.NOTHING),
        (ProviderRefused("550"), SendOutcome.REFUSED),
        (NotConfigured("set it"), SendOutcome.NOTHING),
        (ProviderKeyRefused("535"), SendOutcome.NOTHING),
        (Cut("no answer"), SendOutcome.UNSURE),
        (Oversized("100 MB"), SendOutcome.UNSURE),
        (ProviderChanged("garbage"), SendOutcome.UNSURE),
        (Unsure("timeout"), SendOutcome.UNSURE),
        (ValueError("bug"), SendOutcome.BROKEN),
        (TimeoutError(), SendOutcome.BROKEN),
        (Cancelled("run"), SendOutcome.FORBIDDEN),
        (Denied("held"), SendOutcome.FORBIDDEN),
    ],
)
def test_only_what_certainly_did_nothing_counts_as_nothing(
    error: Exception | None, outcome: SendOutcome
) -> None:
    assert outcome_of(error) is outcome
