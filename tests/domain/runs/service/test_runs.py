from uuid import UUID, uuid4

import msgspec
import pytest
from leadflood.contracts.values import SendsPolicy
from leadflood.domain.auth.schemas.principals import (
    EVERYTHING,
    Principal,
    PrincipalKind,
    Visibility,
)
from leadflood.domain.auth.schemas.roles import PERMISSIONS, Role
from leadflood.domain.runs.schemas import NO_SPENDING, BudgetDefaults, RunLimits
from leadflood.domain.runs.service.runs import RunService
from leadflood.engine.clock import ManualClock
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import Denied, NotFound
from leadflood.engine.ids import Ids
from leadflood.engine.queue.runs import RunFilter
from tests.support.statements import sql

pytestmark = pytest.mark.pg
BUDGET = BudgetDefaults(currency="EUR", run_micros=5_000, lead_micros=70)


@pytest.fixture
def runs(database: Database) -> RunService:
    clock = ManualClock()
    return RunService(database, Ids(clock, seed=5), clock, BUDGET)


def a_rep() -> Principal:
    user_id = uuid4()
    return Principal(
        kind=PrincipalKind.USER,
        name="rep",
        permissions=PERMISSIONS[Role.SALES_REP],
        id=user_id,
        user_id=user_id,
        role=Role.SALES_REP,
        visibility=Visibility(user_id),
    )


async def open_import(database: Database, runs: RunService, owner: str | None) -> UUID:
    run_id = await runs.open_run(database, "import", RunLimits(), title="a file")
    await database.execute(
        sql(
            "INSERT INTO import (run_id, name, sha256, encoding, delimiter, mapping, good_count,"
            " bad_count, created_at, owner)"
            " VALUES ($1, 'a file', sha256(''), 'utf-8', ',', '{}', 0, 0, now(), $2)",
            "run_id",
            "owner",
        ),
        run_id=run_id,
        owner=owner,
    )
    return run_id


async def test_a_run_without_caps_of_its_own_gets_those_of_the_settings(
    database: Database, runs: RunService
) -> None:
    plain = await runs.open_run(database, "lead", RunLimits(), title="plain")
    capped = await runs.open_run(
        database, "lead", RunLimits(cap_micros=0, lead_cap_micros=9), title="capped"
    )

    run, other = await runs.get(plain), await runs.get(capped)
    assert (run.cap_micros, run.lead_cap_micros, run.sends) == (5_000, 70, "hold")
    assert (other.cap_micros, other.lead_cap_micros) == (0, 9)


async def test_a_run_that_spends_nothing_asks_nobody(database: Database, runs: RunService) -> None:
    run = await runs.get(await runs.open_run(database, "lead", NO_SPENDING, title="scored"))

    assert (run.sends, run.providers, run.cap_micros) == ("never", (), 0)
    assert run.lead_cap_micros is None


async def test_many_runs_are_opened_with_their_own_limits(
    database: Database, runs: RunService
) -> None:
    limits = [RunLimits(sends=SendsPolicy.GO), RunLimits(providers=("hunter",), cap_micros=3)]

    async with database.transaction() as tx:
        run_ids = await runs.open_runs(tx, "lead", limits, title="one lead")

    first, second = [await runs.get(run_id) for run_id in run_ids]
    assert (first.sends, first.providers, first.cap_micros) == ("go", None, 5_000)
    assert (second.sends, second.providers, second.cap_micros) == ("hold", ("hunter",), 3)


async def test_equal_keys_are_one_run(database: Database, runs: RunService) -> None:
    first = await runs.resume_or_open_run(database, "csv", RunLimits(), title="a", key="k")
    again = await runs.resume_or_open_run(database, "csv", RunLimits(), title="b", key="k")

    assert (first[0], True) == first
    assert again == (first[0], False)


async def test_imports_of_others_are_hidden_and_searches_are_everybodys(
    database: Database, runs: RunService
) -> None:
    rep = a_rep()
    own = await open_import(database, runs, rep.visibility.owner)
    other = await open_import(database, runs, str(uuid4()))
    unowned = await open_import(database, runs, None)
    search = await runs.open_run(database, "search", RunLimits(), title="a search")
    listed = await runs.list_page(RunFilter(), None, 50)

    hidden = await runs.find_hidden(listed, rep)

    assert {run.id for run in listed} - hidden == {own, search}
    assert hidden == {other, unowned}
    assert not await runs.find_hidden(listed, msgspec.structs.replace(rep, visibility=EVERYTHING))
    assert (await runs.get_report(own, rep)).run.id == own
    with pytest.raises(NotFound):
        await runs.get_report(other, rep)


async def test_bulk_actions_of_others_cannot_be_cancelled(
    database: Database, runs: RunService
) -> None:
    rep = a_rep()
    ids = [await runs.open_run(database, "bulk", RunLimits(), title="tag") for _ in range(2)]
    for run_id, actor in zip(ids, (rep.by, "operator"), strict=True):
        await database.execute(
            sql(
                "INSERT INTO bulk_action (run_id, action, parameters, item_count, created_at,"
                " created_by) VALUES ($1, 'tag', '{}', 1, now(), $2)",
                "run_id",
                "actor",
            ),
            run_id=run_id,
            actor=actor,
        )

    async with database.transaction() as tx:
        cancellation = await runs.cancel_as(tx, ids[0], rep)
        again = await runs.cancel_as(tx, ids[0], rep)
        with pytest.raises(NotFound):
            await runs.cancel_as(tx, ids[1], rep)

    assert (cancellation.is_new, cancellation.run.cancelled) == (True, True)
    assert (again.is_new, again.run.cancelled) == (False, True)


async def test_work_on_a_single_lead_is_stopped_only_by_who_sees_all_leads(
    database: Database, runs: RunService
) -> None:
    run_id = await runs.open_run(database, "lead", RunLimits(), title="one lead")
    rep = a_rep()

    async with database.transaction() as tx:
        with pytest.raises(Denied) as refusal:
            await runs.cancel_as(tx, run_id, rep)
        manager = msgspec.structs.replace(rep, visibility=EVERYTHING)
        cancellation = await runs.cancel_as(tx, run_id, manager)

    assert refusal.value.error_code == "run.cancel.denied"
    assert cancellation.is_new
