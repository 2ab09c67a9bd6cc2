from uuid import UUID

import pytest
from leadflood.contracts.values import Band
from leadflood.domain.features.schemas import FeaturesComputed
from leadflood.domain.icp.schemas import Bands, RuleKind
from leadflood.domain.leads.repository.profiles import find_survivors
from leadflood.domain.leads.service import kernel as leads
from leadflood.domain.scoring.rules.scorecard import Scorecard
from leadflood.domain.scoring.schemas import LeadQualified, LeadScored
from leadflood.domain.scoring.service import ScoringService
from leadflood.domain.scoring.stage import ScoringInput, ScoringStage
from leadflood.engine.db.pool import Database
from leadflood.engine.db.sql import Query
from leadflood.engine.db.tx import sqlstate_of
from leadflood.engine.ids import Ids
from leadflood.engine.queue.outcome import Done, Snooze
from leadflood.engine.queue.stage import Policy
from tests.domain.icp.icps import a_flag, a_rule, an_icp
from tests.domain.scoring.saved import RUN, World
from tests.support.clocks import HurriedClock

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
        FeaturesComputed(lead_id=lead, icp_id=icp.id, snapshot_id=NOBODY),
        FeaturesComputed(lead_id=lead, icp_id=NOBODY, snapshot_id=snapshot_id),
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
