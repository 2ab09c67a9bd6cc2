from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import pytest
from leadflood.domain.auth.schemas.principals import EVERYTHING, Visibility
from leadflood.domain.icp.service.icps import IcpService
from leadflood.domain.leads.schemas.inputs import LeadInput
from leadflood.domain.leads.service.leads import LeadService
from leadflood.domain.learning.schemas import KINDS, Kind, LabelRecorded, NewLabel, Outcome
from leadflood.domain.learning.service import LearningService
from leadflood.engine.clock import ManualClock
from leadflood.engine.db.pool import Database, Settings, open_database
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import Invalid, NotFound
from leadflood.engine.ids import Ids
from leadflood.engine.queue.event import Event
from tests.domain.icp.icps import an_icp
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
def learning(database: Database, clock: ManualClock) -> LearningService:
    ids = Ids(clock)
    leads, icps = LeadService(), IcpService(database, ids, clock)
    return LearningService(database, ids, clock, leads, icps)


class Transaction:
    """An open transaction that keeps what is published in it."""

    def __init__(self, tx: Tx) -> None:
        self.tx = tx
        self.events: list[Event] = []

    async def publish(
        self, events: Sequence[Event], *, run_id: UUID | None = None
    ) -> Sequence[UUID]:
        assert run_id is None
        self.events += events
        return ()


@pytest.fixture
async def lead_id(database: Database, clock: ManualClock) -> UUID:
    async with database.transaction() as tx:
        given = LeadInput(email="ann@acme.example")
        made = await create_lead(tx, given, UUID(int=1), Ids(clock), clock)
    return made.lead_id


@pytest.mark.pg
async def test_a_label_for_an_icp_is_recorded_by_the_one_connection_of_its_transaction(
    database: Database, database_settings: Settings, clock: ManualClock, lead_id: UUID
) -> None:
    ids = Ids(clock)
    async with database.transaction() as tx:
        icp = await IcpService(database, ids, clock).create(tx, an_icp())
    narrow = msgspec.structs.replace(database_settings, pool_size=1, acquire_timeout_seconds=0.05)

    async with open_database(narrow) as single, single.transaction() as tx:
        icps = IcpService(single, ids, clock)
        learning = LearningService(single, ids, clock, LeadService(), icps)
        new = NewLabel(lead_id=lead_id, outcome=Outcome.WON, by="user:1", icp_id=icp.profile_id)
        label = await learning.record(Transaction(tx), new, EVERYTHING)

    assert label.icp_id == icp.id


@pytest.mark.pg
async def test_the_latest_outcome_counts_in_whatever_order_they_are_recorded(
    database: Database, learning: LearningService, lead_id: UUID
) -> None:
    outcomes = [
        (Outcome.WON, START),
        (Outcome.LOST, START - HOUR),
        (Outcome.BAD_FIT, START - HOUR),
    ]
    async with database.transaction() as tx:
        for outcome, at in outcomes:
            new = NewLabel(lead_id=lead_id, outcome=outcome, by="user:1", happened_at=at)
            await learning.record(Transaction(tx), new, EVERYTHING)

    labels = await learning.list_labels(lead_id, EVERYTHING)

    current = {label.kind: label.outcome for label in labels if label.is_current}
    assert current == {Kind.DEAL: Outcome.WON, Kind.FIT: Outcome.BAD_FIT}
    assert len(labels) == 3


@pytest.mark.pg
async def test_a_lead_without_a_score_gets_a_label_without_one(
    database: Database, learning: LearningService, lead_id: UUID
) -> None:
    async with database.transaction() as tx:
        new = NewLabel(lead_id=lead_id, outcome=Outcome.BOUNCED, by="user:1")
        transaction = Transaction(tx)
        recorded = await learning.record(transaction, new, EVERYTHING)

    (label,) = await learning.list_labels(lead_id, EVERYTHING)

    assert (label, label.kind) == (recorded, Kind.DELIVERY)
    assert transaction.events == [LabelRecorded(lead_id, label.id, "delivery", "bounced")]
    assert (label.prediction_id, label.snapshot_id, label.score) == (None, None, None)
    assert label.happened_at == START


@pytest.mark.pg
async def test_an_outcome_in_the_future_is_refused(
    database: Database, learning: LearningService, lead_id: UUID
) -> None:
    new = NewLabel(lead_id=lead_id, outcome=Outcome.WON, by="user:1", happened_at=START + HOUR)

    async with database.transaction() as tx:
        with pytest.raises(Invalid, match="yet to come"):
            await learning.record(Transaction(tx), new, EVERYTHING)


@pytest.mark.pg
async def test_outcomes_of_hidden_leads_are_neither_recorded_nor_listed(
    database: Database, learning: LearningService, lead_id: UUID
) -> None:
    stranger = Visibility(UUID(int=9))
    new = NewLabel(lead_id=lead_id, outcome=Outcome.WON, by="user:9")

    async with database.transaction() as tx:
        with pytest.raises(NotFound):
            await learning.record(Transaction(tx), new, stranger)
    with pytest.raises(NotFound):
        await learning.list_labels(lead_id, stranger)
