from uuid import uuid4

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
from leadflood.domain.runs.schemas import NO_SPENDING, BudgetDefaults, RunLimits, RunOpener
from leadflood.domain.runs.service.runs import RunService
from leadflood.engine.clock import ManualClock
from leadflood.engine.db.pool import Database
from leadflood.engine.disk import DiskWatch, Settings as DiskSettings
from leadflood.engine.errors import NotFound
from leadflood.engine.ids import Ids
from leadflood.engine.queue.runs import RunFilter

pytestmark = pytest.mark.pg
BUDGET = BudgetDefaults(currency="EUR", run_micros=5_000, lead_micros=70)


@pytest.fixture
def runs(database: Database) -> RunService:
    clock = ManualClock()
    return RunService(database, Ids(clock, seed=5), clock, BUDGET, DiskWatch(None, DiskSettings()))


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


async def test_a_run_is_seen_by_who_opened_it_and_a_search_by_everybody(
    database: Database, runs: RunService
) -> None:
    rep = a_rep()
    own, other, unowned = [
        await runs.open_run(database, kind, opened_by(user_id), title=kind)
        for kind, user_id in (
            ("import", rep.visibility.owner or ""),
            ("lead", str(uuid4())),
            ("bulk", ""),
        )
    ]
    search = await runs.open_run(
        database, "search", opened_by(str(uuid4())), title="a search", is_shared=True
    )
    everything = await runs.list_page(RunFilter(), EVERYTHING, None, 50)
    visible = await runs.list_page(RunFilter(), rep.visibility, None, 50)

    assert {run.id for run in visible} == {own, search}
    assert {run.id for run in everything} == {own, search, other, unowned}
    assert (await runs.get_report(own, rep.visibility)).run.id == own
    for hidden in (other, unowned):
        with pytest.raises(NotFound):
            await runs.get_report(hidden, rep.visibility)


async def test_runs_of_others_cannot_be_cancelled(database: Database, runs: RunService) -> None:
    rep = a_rep()
    owners = (rep.visibility.owner or "", str(uuid4()))
    own, other = [
        await runs.open_run(database, "lead", opened_by(user_id), title="one") for user_id in owners
    ]

    async with database.transaction() as tx:
        cancellation = await runs.cancel_as(tx, own, rep)
        again = await runs.cancel_as(tx, own, rep)
        with pytest.raises(NotFound):
            await runs.cancel_as(tx, other, rep)

    assert (cancellation.is_new, cancellation.run.cancelled) == (True, True)
    assert (again.is_new, again.run.cancelled) == (False, True)


async def test_caps_above_the_settings_are_lowered_for_who_may_not_exceed_them(
    database: Database, runs: RunService
) -> None:
    asked = RunLimits(cap_micros=10**15, lead_cap_micros=10**15)
    free = msgspec.structs.replace(asked, opener=RunOpener(may_exceed_caps=True))

    lowered = await runs.get(await runs.open_run(database, "lead", asked, title="lowered"))
    granted = await runs.get(await runs.open_run(database, "lead", free, title="granted"))

    assert (lowered.cap_micros, lowered.lead_cap_micros) == (5_000, 70)
    assert (granted.cap_micros, granted.lead_cap_micros) == (10**15, 10**15)


def opened_by(user_id: str) -> RunLimits:
    return RunLimits(opener=RunOpener(user_id=user_id))
