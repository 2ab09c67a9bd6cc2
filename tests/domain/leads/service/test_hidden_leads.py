from uuid import uuid4

import pytest
from leadflood.domain.auth.schemas.principals import EVERYTHING, Visibility
from leadflood.domain.leads.service.hidden_leads import DAY, MOST_A_DAY, HiddenLeadLimit
from leadflood.engine.clock import ManualClock
from leadflood.engine.errors import Throttled


def test_somebody_is_told_of_few_hidden_leads_a_day() -> None:
    clock = ManualClock()
    limit, rep, other = HiddenLeadLimit(clock), Visibility(uuid4()), Visibility(uuid4())
    for _ in range(MOST_A_DAY):
        limit.require(rep)
        limit.record(rep)

    with pytest.raises(Throttled) as refused:
        limit.require(rep)
    limit.require(other)
    clock.advance(DAY.total_seconds())
    limit.require(rep)

    assert refused.value.retry_after_seconds == DAY.total_seconds()


def test_who_sees_all_leads_is_told_however_often() -> None:
    limit = HiddenLeadLimit(ManualClock())

    for _ in range(MOST_A_DAY + 1):
        limit.record(EVERYTHING)

    limit.require(EVERYTHING)
