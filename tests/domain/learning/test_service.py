from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from leadflood.domain.leads.schemas import LeadInput
from leadflood.domain.learning.schemas import KINDS, Kind, NewLabel, Outcome
from leadflood.domain.learning.service import LearningService
from leadflood.engine.clock import ManualClock
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import Invalid
from leadflood.engine.ids import Ids
from tests.support.leads import create_lead

START = datetime(2026, 1, 5, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_every_outcome_answers_a_question_that_has_two_answers() -> None:
    assert set(KINDS) == set(Outcome)
    for kind in Kind:
        assert list(KINDS.values()).count(kind) == 2


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def learning(clock: ManualClock) -> LearningService:
    return LearningService(Ids(clock), clock)


@pytest.fixture
async def lead_id(database: Database, clock: ManualClock) -> UUID:
    async with database.transaction() as tx:
        given = LeadInput(email="ann@acme.example")
        made = await create_lead(tx, given, UUID(int=1), Ids(clock), clock)
    return made.lead_id


@pytest.mark.pg
async def test_what_happened_last_counts_whoever_said_it_last(
    database: Database, learning: LearningService, lead_id: UUID
) -> None:
    told = [(Outcome.WON, START), (Outcome.LOST, START - HOUR), (Outcome.BAD_FIT, START - HOUR)]
    async with database.transaction() as tx:
        for outcome, at in told:
            new = NewLabel(lead_id=lead_id, outcome=outcome, by="user:1", happened_at=at)
            await learning.record(tx, new, [lead_id])

    labels = await learning.list_labels(database, [lead_id])

    current = {label.kind: label.outcome for label in labels if label.is_current}
    assert current == {Kind.DEAL: Outcome.WON, Kind.FIT: Outcome.BAD_FIT}
    assert len(labels) == 3


@pytest.mark.pg
async def test_a_lead_without_a_score_gets_a_label_without_one(
    database: Database, learning: LearningService, lead_id: UUID
) -> None:
    async with database.transaction() as tx:
        new = NewLabel(lead_id=lead_id, outcome=Outcome.BOUNCED, by="user:1")
        event = await learning.record(tx, new, [lead_id])

    (label,) = await learning.list_labels(database, [lead_id])

    assert (label.id, label.kind) == (event.label_id, Kind.DELIVERY)
    assert (label.prediction_id, label.snapshot_id, label.score) == (None, None, None)
    assert label.happened_at == START


@pytest.mark.pg
async def test_what_is_yet_to_come_is_no_label(
    database: Database, learning: LearningService, lead_id: UUID
) -> None:
    new = NewLabel(lead_id=lead_id, outcome=Outcome.WON, by="user:1", happened_at=START + HOUR)

    async with database.transaction() as tx:
        with pytest.raises(Invalid, match="yet to come"):
            await learning.record(tx, new, [lead_id])
