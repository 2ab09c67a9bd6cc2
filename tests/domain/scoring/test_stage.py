from typing import Any
from uuid import UUID

import pytest
from leadflood.contracts.values import Band
from leadflood.domain.features.schemas import FeaturesComputed
from leadflood.domain.icp.schemas import Bands, RuleKind
from leadflood.domain.lead_views.schemas import LeadFilter, LeadPaging
from leadflood.domain.lead_views.service.lists import LeadLists
from leadflood.domain.leads.repository.profiles import find_survivors
from leadflood.domain.leads.schemas.identity import HUMAN_SOURCE
from leadflood.domain.leads.service import kernel as leads
from leadflood.domain.learning.repository import find_score_then
from leadflood.domain.notifications.repository import find_runs
from leadflood.domain.runs.service.reports import RunReports
from leadflood.domain.scoring.rules.scorecard import Scorecard
from leadflood.domain.scoring.schemas import LeadQualified, LeadScored
from leadflood.domain.scoring.service import ScoringService
from leadflood.domain.scoring.stage import ScoringInput, ScoringStage
from leadflood.engine.db.pool import Database
from leadflood.engine.db.sql import Query
from leadflood.engine.db.tx import sqlstate_of
from leadflood.engine.ids import Ids
from leadflood.engine.queue import runs
from leadflood.engine.queue.outcome import Done, Snooze
from leadflood.engine.queue.runs import NewRun
from leadflood.engine.queue.stage import FinishedTask, Policy
from tests.domain.icp.icps import a_flag, a_rule, an_icp
from tests.domain.scoring.saved import RUN, World
from tests.support.clocks import HurriedClock
from tests.support.statements import sql

NOBODY = UUID(int=1)
OTHER_RUN = UUID(int=8)
ICP = an_icp(
    rules=(
        a_flag("title_matches", weight=2),
        a_flag("country_matches", weight=1),
        a_rule("country", "NOT_IN", ("US",), kind=RuleKind.HARD_FILTER),
    )
)
pytestmark = pytest.mark.pg


async def test_each_lead_is_scored_and_high_ones_are_qualified(database: Database) -> None:
    world = World(database)
    icp = await world.icp(ICP)
    best = await world.lead("1", full_name="Mira A", title="VP Operations", country="DE")
    fair = await world.lead("2", full_name="Ivo B", title="VP Operations", country="FR")
    lost = await world.lead("3", full_name="Ada C", title="VP Operations", country="US")

    events = await world.run(world.scoring, await world.computed([best, fair, lost], icp))

    scored = [event for event in events if isinstance(event, LeadScored)]
    qualified = [event for event in events if isinstance(event, LeadQualified)]
    assert [(one.lead_id, one.score_milli, one.band) for one in scored] == [
        (best, 100_000, "HIGH"),
        (fair, 66_667, "MEDIUM"),
        (lost, 0, "LOW"),
    ]
    assert [(one.lead_id, one.prediction_id) for one in qualified] == [
        (best, scored[0].prediction_id)
    ]


async def test_a_lead_is_scored_once_even_if_the_batch_is_committed_twice(
    database: Database,
) -> None:
    world = World(database)
    icp = await world.icp(ICP)
    lead = await world.lead("1", full_name="Mira A", title="VP Operations", country="DE")
    ended = await world.ended(world.scoring, await world.computed([lead], icp))

    first = await world.commit(world.scoring, ended)
    second = await world.commit(world.scoring, [*ended, *ended])

    assert (len(first), len(second)) == (2, 0)
    assert [one.lead_id for one in await ScoringService(database).top(RUN, 10)] == [lead]


async def test_another_run_scores_the_same_snapshot_for_itself(database: Database) -> None:
    world = World(database)
    icp = await world.icp(ICP)
    lead = await world.lead("1", full_name="Mira A", title="VP Operations", country="DE")
    tasks = await world.computed([lead], icp)

    await world.run(world.scoring, tasks)
    events = await world.run(world.scoring, tasks, OTHER_RUN)

    assert len(events) == 2
    assert len(await ScoringService(database).top(OTHER_RUN, 10)) == 1


async def test_outside_a_run_a_lead_is_scored_once_too(database: Database) -> None:
    world = World(database)
    icp = await world.icp(ICP)
    lead = await world.lead("1", full_name="Mira A", title="VP Operations", country="DE")
    tasks = await world.computed([lead], icp)

    first = await world.run(world.scoring, tasks, None)
    second = await world.run(world.scoring, tasks, None)

    assert (len(first), len(second)) == (2, 0)


async def test_a_stored_score_is_read_back_equal_with_its_explanation(
    database: Database,
) -> None:
    world = World(database)
    icp = await world.icp(ICP)
    lead = await world.lead("1", full_name="Mira A", title="VP Operations", country="FR")
    ended = await world.ended(world.scoring, await world.computed([lead], icp))
    await world.commit(world.scoring, ended)
    scores = ScoringService(database)

    found = (await scores.scores_of([lead, NOBODY], icp.id))[lead]

    assert found.score == ended[0].outcome.result  # type: ignore[union-attr] # it is done
    assert (found.run_id, found.algorithm, found.algorithm_version) == (RUN, "rules", 1)
    assert scores.explain(found) == [
        "66.667 of 100: MEDIUM",
        "+66.667 title is one of those wanted: it is yes (VP Operations)",
        "+0 of 33.333 country is one of those wanted: it is no (FR)",
        "hard filter met: country is none of US: it is FR",
        "to reach HIGH: needs country is one of those wanted (+33.333) → 100",
    ]


async def test_the_newest_score_of_a_lead_counts_and_the_best_come_first(
    database: Database,
) -> None:
    world = World(database)
    icp = await world.icp(ICP)
    first = await world.lead("1", full_name="Mira A", country="FR")
    second = await world.lead("2", full_name="Ivo B", title="VP Operations", country="FR")
    await world.run(world.scoring, await world.computed([first, second], icp))
    await world.lead("1", full_name="Mira A", title="VP Operations", country="FR")
    await world.run(world.scoring, await world.computed([first], icp))
    scores = ScoringService(database)

    best = await scores.top(RUN, 10)

    assert [one.lead_id for one in best] == [first, second]
    assert [one.score.band for one in best] == [Band.MEDIUM, Band.MEDIUM]
    assert (await scores.scores_of([first]))[first] == best[0]


class Corrected:
    """A lead that was HIGH, then corrected and LOW; both scores are computed, none is stored."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def compute(self) -> None:
        world = self.world
        new = NewRun(id=world.ids.new(), kind="lead", title="a lead", sends="never")
        self.run_id = await runs.create(world.database, new, world.clock.now())
        self.icp = await world.icp(ICP)
        self.lead_id = await world.lead("1", title="VP Operations", country="DE")
        self.older = await self.score()
        await world.lead("1", source=HUMAN_SOURCE, country="US")
        self.newer = await self.score()

    async def score(self) -> list[FinishedTask[Any, Any]]:
        world = self.world
        tasks = await world.computed([self.lead_id], self.icp)
        return await world.ended(world.scoring, tasks, self.run_id)


@pytest.fixture
async def corrected(database: Database) -> Corrected:
    lead = Corrected(World(database))
    await lead.compute()
    return lead


async def list_bands(database: Database, lead: Corrected) -> dict[str, set[Any]]:
    """List the band of a lead wherever it is read, by reader."""
    scores, lists = ScoringService(database), LeadLists(database)
    ids = [lead.lead_id]
    funnel = await RunReports(database).count_funnel(lead.run_id)
    (facts,) = (await find_runs(database, [lead.run_id], ())).values()
    then = await find_score_then(database, ids, None, lead.world.clock.now())
    assert then is not None
    stored = {
        row["id"]: row["band"]
        for row in await database.fetch(sql("SELECT id, band FROM score_prediction"))
    }
    pages = {
        name: {row.lead.band for row in (await lists.list_page(scope, LeadPaging()))[0]}
        for name, scope in {
            "list": LeadFilter(),
            "list of the run": LeadFilter(run_id=lead.run_id),
            "list of the ICP": LeadFilter(icp_id=lead.icp.id),
        }.items()
    }
    return {
        **pages,
        "scores": {(await scores.scores_of(ids))[lead.lead_id].score.band},
        "scores of the ICP": {(await scores.scores_of(ids, lead.icp.id))[lead.lead_id].score.band},
        "newest": {stored[(await scores.newest_of(ids))[lead.lead_id]]},
        "top": {one.score.band for one in await scores.top(lead.run_id, 10)},
        "funnel": {"HIGH" if funnel.high else "LOW"},
        "notification": {"HIGH" if facts.high_count else "LOW"},
        "outcome": {stored[then.prediction_id]},
    }


@pytest.mark.parametrize("first", ["older", "newer", "both"])
async def test_the_score_of_the_newest_version_of_a_lead_is_shown_whichever_is_stored_last(
    database: Database, corrected: Corrected, first: str
) -> None:
    world, older, newer = corrected.world, corrected.older, corrected.newer
    batches = {"older": [older, newer], "newer": [newer, older], "both": [[*newer, *older]]}

    for batch in batches[first]:
        await world.commit(world.scoring, batch)

    bands = await list_bands(database, corrected)
    assert bands == {reader: {Band.LOW} for reader in bands}


async def test_a_score_of_an_older_version_says_so_and_qualifies_nobody(
    corrected: Corrected,
) -> None:
    world = corrected.world

    newer = await world.commit(world.scoring, corrected.newer)
    older = await world.commit(world.scoring, corrected.older)

    assert [type(event) for event in (*newer, *older)] == [LeadScored, LeadScored]
    assert older[0].version() < newer[0].version()


async def test_a_lead_that_is_still_high_is_qualified_by_its_newest_score(
    database: Database,
) -> None:
    world = World(database)
    icp = await world.icp(ICP)
    lead = await world.lead("1", title="VP Operations", country="DE")
    older = await world.ended(world.scoring, await world.computed([lead], icp))
    await world.lead("1", source=HUMAN_SOURCE, full_name="Mira A")
    newer = await world.ended(world.scoring, await world.computed([lead], icp), OTHER_RUN)

    (scored, _) = await world.commit(world.scoring, newer)
    (_, qualified) = await world.commit(world.scoring, older)

    assert isinstance(qualified, LeadQualified)
    assert qualified.prediction_id == scored.prediction_id


async def test_leads_merged_into_others_are_left_out_of_the_best(database: Database) -> None:
    world = World(database)
    icp = await world.icp(ICP)
    first = await world.lead("1", full_name="Mira A", title="COO")
    second = await world.lead("2", full_name="Mira Aa", title="COO", email="mira@a.example")
    await world.run(world.scoring, await world.computed([first, second], icp))
    survivor = await world.lead("1", full_name="Mira A", title="COO", email="mira@a.example")

    best = await ScoringService(database).top(RUN, 10)

    assert survivor == first
    assert [one.lead_id for one in best] == [first]
    assert (await find_survivors(database, [second]))[second] == first


async def test_a_snapshot_or_icp_that_is_gone_ends_the_task(database: Database) -> None:
    world = World(database)
    icp = await world.icp(ICP)
    lead = await world.lead("1", full_name="Mira A")
    snapshot_id = (await world.computed([lead], icp))[0].snapshot_id
    tasks = [
        FeaturesComputed(lead_id=lead, icp_id=icp.id, snapshot_id=NOBODY, source_version=1),
        FeaturesComputed(lead_id=lead, icp_id=NOBODY, snapshot_id=snapshot_id, source_version=1),
    ]

    events = await world.run(world.scoring, tasks)

    assert events == []
    assert (await leads.find_profiles(database, [lead]))[lead].failed_code in {
        "scoring.snapshot.not_found",
        "scoring.icp.not_found",
    }


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("score_milli = score_milli - 1", "score_is_the_sum"),
        ("contribution_points = array_replace(contribution_points, 66667, 1)", "score_is_the_sum"),
        ("contribution_names = contribution_names || ARRAY['x']", "every_point_has_a_name"),
        ("hard_filter_failed = true", "failed_filter_scores_nothing"),
    ],
)
async def test_the_database_refuses_a_score_that_is_not_its_sum(
    database: Database, change: str, constraint: str
) -> None:
    world = World(database)
    icp = await world.icp(ICP)
    lead = await world.lead("1", full_name="Mira A", title="VP Operations", country="DE")
    await world.run(world.scoring, await world.computed([lead], icp))

    statement = f"UPDATE score_prediction SET {change}"  # noqa: S608 - the table above
    with pytest.raises(Exception, match=constraint) as caught:
        await database.execute(Query("tamper", statement, ()))

    assert sqlstate_of(caught.value) == "23514"


async def test_a_batch_that_takes_too_long_is_scored_as_far_as_its_time_goes() -> None:
    clock = HurriedClock(12.0)
    stage = ScoringStage(Policy(), Ids(clock), clock)
    card = Scorecard([a_rule("title", "MATCHES", "a")], Bands())

    outcomes = await stage.work_batch([ScoringInput({"title": "b"}, card)] * 4)

    assert [type(outcome) for outcome in outcomes] == [Done, Done, Snooze, Snooze]
