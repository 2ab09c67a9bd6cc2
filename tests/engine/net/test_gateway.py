"""The gate against a real Postgres, with answers from memory."""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from uuid import UUID

import anyio
import pytest
from leadflood.engine.clock import REAL_TIME, ManualClock, SystemClock
from leadflood.engine.context import ANSWERS_SINCE, Allow, Defer, Deny, JobContext, SendDecision
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import (
    Bug,
    CapSpent,
    Denied,
    LeadfloodError,
    NodeFenced,
    Permanent,
    Throttled,
    Transient,
    Unfunded,
    Unsure,
)
from leadflood.engine.ledger.budgets import find_budgets
from leadflood.engine.ledger.caps import Caps, Settings as LedgerSettings
from leadflood.engine.ledger.lines import list_lines
from leadflood.engine.ledger.repository import resolve_orphans
from leadflood.engine.net.breaker import BreakerOpen, Settings as BreakerSettings
from leadflood.engine.net.calls import BulkCallItem, BulkReply, Cut, Reply, Unreached, Window
from leadflood.engine.net.gateway import ProviderGateway, Settings
from leadflood.engine.net.ledger_port import LineState
from leadflood.engine.net.providers import Provider
from tests.support.live_gate import (
    DEFAULT_SETUP,
    NOW,
    FakeProvider,
    GatewaySetup,
    RunningGateway,
    a_call,
    add_run,
    failing_provider,
    remove_node,
    running_gateway,
    running_job,
)
from tests.support.statements import sql

QUICK = Settings(grace_seconds=0.05)


async def states(database: Database) -> list[tuple[LineState, int | None, str | None]]:
    return [(line.state, line.settled_micros, line.outcome) for line in await list_lines(database)]


def doubtful(error: LeadfloodError) -> LeadfloodError:
    """Return the error of an answer behind which the work may have been done."""
    error.may_have_acted = True
    return error


async def must_not_send(_: UUID, items: Sequence[BulkCallItem]) -> BulkReply:
    raise AssertionError(items)


async def go(_: object, jobs: Sequence[JobContext]) -> Sequence[SendDecision]:
    return [Allow() for _ in jobs]


class TestLedger:
    async def test_a_call_is_reserved_sent_and_settled_at_what_it_cost(
        self, database: Database
    ) -> None:
        fake = FakeProvider(cost=7)

        async with running_gateway(database) as gateway:
            reply = await gateway.gate.call(a_call(), fake)

        assert (reply.body, reply.cached) == (b"answer", False)
        (line,) = await list_lines(database)
        assert line.id == fake.references[0]
        assert (line.state, line.reserved_micros, line.settled_micros) == (LineState.SETTLED, 10, 7)
        assert (line.subjects, line.shares) == (("lead-1",), (7,))

    async def test_the_line_is_reserved_durably_before_the_other_side_is_called(
        self, database: Database
    ) -> None:
        line_states: list[LineState] = []

        async def answer(_: UUID) -> Reply:
            line_states.extend(line.state for line in await list_lines(database))
            return Reply(body=b"")

        async with running_gateway(database) as gateway:
            await gateway.gate.call(a_call(), FakeProvider(answer=answer))

        assert line_states == [LineState.RESERVED]

    async def test_a_refusal_by_the_other_side_releases_the_money(self, database: Database) -> None:
        run_id = await add_run(database, cap=10)

        async with running_gateway(database) as gateway:
            with running_job(run_id):
                with pytest.raises(Permanent):
                    await gateway.gate.call(
                        a_call(), failing_provider(Permanent("no", code="x.refused"))
                    )
                await gateway.gate.call(a_call(), FakeProvider(cost=10))

        assert await states(database) == [
            (LineState.RELEASED, None, "x.refused"),
            (LineState.SETTLED, 10, "found"),
        ]
        (budget,) = await find_budgets(database, [f"run:{run_id}"])
        assert (budget.cap_micros, budget.spent_micros, budget.reserved_micros) == (10, 10, 0)

    async def test_a_refusal_that_costs_is_settled_at_its_cost(self, database: Database) -> None:
        error = Permanent("no match, but charged", code="x.charged")
        error.cost_micros = 3  # type: ignore[attr-defined]

        async with running_gateway(database) as gateway:
            with pytest.raises(Permanent):
                await gateway.gate.call(a_call(), failing_provider(error))

        assert await states(database) == [(LineState.SETTLED, 3, "x.charged")]

    @pytest.mark.parametrize(
        ("error", "state"),
        [
            (Unreached("refused"), LineState.RELEASED),
            (Cut("cut"), LineState.UNRESOLVED),
            (Throttled("slow down", 0.0), LineState.RELEASED),
            (doubtful(Permanent("unreadable")), LineState.UNRESOLVED),
            (doubtful(Transient("502")), LineState.UNRESOLVED),
            (doubtful(Throttled("503, slow down", 0.0)), LineState.UNRESOLVED),
            (Transient("before it was sent"), LineState.RELEASED),
            (ValueError("ours"), LineState.UNRESOLVED),
        ],
    )
    async def test_what_may_have_been_charged_stays_unresolved_at_its_reserved_price(
        self, database: Database, error: Exception, state: LineState
    ) -> None:
        async with running_gateway(database) as gateway:
            with pytest.raises(type(error)):
                await gateway.gate.call(a_call(), failing_provider(error))

        ((line_state, settled, _),) = await states(database)
        assert (line_state, settled) == (state, None)
        day = (await list_lines(database))[0].created_at.strftime("%Y-%m-%d")
        (budget,) = await find_budgets(database, [f"all:day:{day}"])
        assert budget.reserved_micros == (10 if state is LineState.UNRESOLVED else 0)

    async def test_an_error_that_wraps_a_cut_counts_as_the_cut(self, database: Database) -> None:
        async def answer(_: UUID) -> Reply:
            raise Transient("down", code="provider.down") from Cut("cut")

        async with running_gateway(database) as gateway:
            with pytest.raises(Transient):
                await gateway.gate.call(a_call(), FakeProvider(answer=answer))

        assert await states(database) == [(LineState.UNRESOLVED, None, "provider.down")]

    async def test_a_call_past_its_deadline_is_cut_and_unresolved(self, database: Database) -> None:
        async def answer(_: UUID) -> Reply:
            await anyio.sleep_forever()
            raise AssertionError

        async with running_gateway(database, GatewaySetup(settings=QUICK)) as gateway:
            with pytest.raises(Cut):
                await gateway.gate.call(a_call(timeout_seconds=0.05), FakeProvider(answer=answer))

        assert await states(database) == [(LineState.UNRESOLVED, None, "net.timeout")]

    async def test_an_answer_that_does_not_tell_its_price_is_kept_on_an_unresolved_line(
        self, database: Database
    ) -> None:
        async def answer(_: UUID) -> Reply:
            return Reply(body=b"unpriced", cost_micros=10, is_priced=False)

        fake = FakeProvider(answer=answer)

        async with running_gateway(database) as gateway:
            await gateway.gate.call(a_call(), fake)
            again = await gateway.gate.call(a_call(), fake)

        assert (again.body, again.cached) == (b"unpriced", True)
        assert await states(database) == [(LineState.UNRESOLVED, None, "net.unpriced")]

    async def test_a_cancelled_caller_leaves_a_recorded_line(self, database: Database) -> None:
        is_out = anyio.Event()

        async def answer(_: UUID) -> Reply:
            is_out.set()
            await anyio.sleep_forever()
            raise AssertionError

        async with running_gateway(database) as gateway, anyio.create_task_group() as tasks:
            tasks.start_soon(gateway.gate.call, a_call(), FakeProvider(answer=answer))
            await is_out.wait()
            tasks.cancel_scope.cancel()

        assert await states(database) == [(LineState.UNRESOLVED, None, "cancelled")]

    async def test_lines_of_a_node_that_is_gone_become_unresolved(self, database: Database) -> None:
        buried: list[int] = []

        async def answer(_: UUID) -> Reply:
            await remove_node(database, buried[0])
            buried.append(await resolve_orphans(database, NOW))
            return Reply(body=b"late", cost_micros=4)

        async with running_gateway(database) as gateway:
            buried.append(gateway.node_id)
            await gateway.gate.call(a_call(), FakeProvider(answer=answer))

        assert buried[1] == 1
        assert await states(database) == [(LineState.SETTLED, 4, "found")]

    async def test_a_living_nodes_lines_are_no_orphans(self, database: Database) -> None:
        counts = []

        async def answer(_: UUID) -> Reply:
            counts.append(await resolve_orphans(database, NOW))
            return Reply(body=b"")

        async with running_gateway(database) as gateway:
            await gateway.gate.call(a_call(), FakeProvider(answer=answer))

        assert counts == [0]


class TestAnswers:
    async def test_a_kept_answer_costs_nothing_and_writes_no_line(self, database: Database) -> None:
        fake = FakeProvider()

        async with running_gateway(database) as gateway:
            await gateway.gate.call(a_call(), fake)
            again = await gateway.gate.call(a_call(), fake)

        assert (again.body, again.cached, again.cost_micros) == (b"answer", True, 0)
        assert len(fake.references) == 1
        assert len(await list_lines(database)) == 1

    async def test_misses_are_kept_with_their_own_time(self, database: Database) -> None:
        async def nothing(_: UUID) -> Reply:
            return Reply(body=b"", found=False)

        fake = FakeProvider(answer=nothing)
        clock = ManualClock()

        async with running_gateway(database, GatewaySetup(clock=clock)) as gateway:
            call = a_call(miss_seconds=60.0)
            await gateway.gate.call(call, fake)
            clock.advance(59)
            stored = await gateway.gate.call(call, fake)
            clock.advance(2)
            fresh = await gateway.gate.call(call, fake)

        assert (stored.found, stored.cached) == (False, True)
        assert fresh.cached is False
        assert {outcome for _, _, outcome in await states(database)} == {"miss"}

    async def test_an_answer_is_found_again_though_the_question_is_put_differently(
        self, database: Database
    ) -> None:
        async def answer(_: UUID) -> Reply:
            return Reply(body=b"Ann", names=(b"id 7",))

        async def nobody(_: UUID) -> Reply:
            return Reply(body=b"", found=False, names=(b"id 8",))

        ann, bob = FakeProvider(answer=answer), FakeProvider(answer=nobody)
        items = [BulkCallItem(b"Ann Berg of Acme", "lead-1", b"lead 1")]

        async with running_gateway(database) as gateway:
            await gateway.gate.call(a_call("Ann", name=b"lead 1"), ann)
            again = [
                await gateway.gate.call(a_call("Ann Berg", name=b"lead 1"), ann),
                await gateway.gate.call(a_call("id 7"), ann),
                *await gateway.gate.call_bulk(a_call(""), items, must_not_send),
            ]
            await gateway.gate.call(a_call("Bob", name=b"lead 2"), bob)
            misses = [
                await gateway.gate.call(a_call("Bob Day", name=b"lead 2"), bob),
                await gateway.gate.call(a_call("id 8"), bob),
            ]

        assert [(reply.body, reply.cached) for reply in again] == [(b"Ann", True)] * 3
        assert [reply.cached for reply in misses] == [False, False]
        assert (len(ann.references), len(bob.references)) == (1, 3)

    async def test_work_that_needs_fresh_answers_uses_none_from_before_it_began(
        self, database: Database
    ) -> None:
        fake, clock = FakeProvider(), ManualClock()

        async with running_gateway(database, GatewaySetup(clock=clock)) as gateway:
            await gateway.gate.call(a_call(), fake)
            clock.advance(1)
            token = ANSWERS_SINCE.set(clock.now())
            fresh = await gateway.gate.call(a_call(), fake)
            again = await gateway.gate.call(a_call(), fake)
            ANSWERS_SINCE.reset(token)
            usual = await gateway.gate.call(a_call(), fake)

        assert [reply.cached for reply in (fresh, again, usual)] == [False, True, True]
        assert len(fake.references) == 2

    async def test_nothing_is_kept_where_nothing_may_be(self, database: Database) -> None:
        fake = FakeProvider()

        async with running_gateway(database) as gateway:
            for _ in range(2):
                await gateway.gate.call(a_call(answer_seconds=0.0, miss_seconds=0.0), fake)

        assert len(fake.references) == 2

    async def test_equal_calls_in_flight_are_made_once(self, database: Database) -> None:
        may_answer = anyio.Event()

        async def answer(_: UUID) -> Reply:
            await may_answer.wait()
            return Reply(body=b"one", cost_micros=5)

        fake = FakeProvider(answer=answer)
        replies: list[Reply] = []

        async def ask(gate: ProviderGateway) -> None:
            replies.append(await gate.call(a_call(), fake))

        async with running_gateway(database) as gateway, anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(ask, gateway.gate)
            await anyio.wait_all_tasks_blocked()
            may_answer.set()

        assert len(fake.references) == 1
        assert sum(reply.cost_micros for reply in replies) == 5

    async def test_equal_calls_in_flight_share_a_failure(self, database: Database) -> None:
        may_fail = anyio.Event()
        errors: list[Exception] = []

        async def answer(_: UUID) -> Reply:
            await may_fail.wait()
            raise Cut("cut")

        fake = FakeProvider(answer=answer)

        async def ask(gate: ProviderGateway) -> None:
            with pytest.raises(Cut) as failed:
                await gate.call(a_call(), fake)
            errors.append(failed.value)

        async with running_gateway(database) as gateway, anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(ask, gateway.gate)
            await anyio.wait_all_tasks_blocked()
            may_fail.set()

        assert len(errors) == 5
        assert len(fake.references) == 1

    async def test_a_follower_asks_itself_when_the_leader_is_cancelled(
        self, database: Database
    ) -> None:
        is_out = anyio.Event()

        async def answer(_: UUID) -> Reply:
            if not is_out.is_set():
                is_out.set()
                await anyio.sleep_forever()
            return Reply(body=b"second")

        fake = FakeProvider(answer=answer)

        async def lead(gate: ProviderGateway, scope: anyio.CancelScope) -> None:
            with scope:
                await gate.call(a_call(), fake)

        async with running_gateway(database) as gateway, anyio.create_task_group() as tasks:
            leading = anyio.CancelScope()
            tasks.start_soon(lead, gateway.gate, leading)
            await is_out.wait()
            tasks.start_soon(gateway.gate.call, a_call(), fake)
            await anyio.wait_all_tasks_blocked()
            leading.cancel()

        assert len(fake.references) == 2

    async def test_a_bulk_call_sends_only_items_without_a_stored_answer(
        self, database: Database
    ) -> None:
        subjects: list[tuple[str, ...]] = []

        async def send(_: UUID, items: Sequence[BulkCallItem]) -> BulkReply:
            subjects.append(tuple(item.subject for item in items))
            return BulkReply(
                items=tuple(
                    Reply(body=item.question, cost_micros=cost)
                    for cost, item in enumerate(items, start=3)
                )
            )

        items = [BulkCallItem(name.encode(), name) for name in ("a", "b", "c", "b")]

        async with running_gateway(database) as gateway:
            await gateway.gate.call(a_call("a", subjects=("a",)), FakeProvider(cost=1))
            replies = await gateway.gate.call_bulk(a_call("", max_cost_micros=20), items, send)
            single = await gateway.gate.call(a_call("c"), FakeProvider())

        assert subjects == [("b", "c")]
        assert [reply.body for reply in replies] == [b"answer", b"b", b"c", b"b"]
        assert [reply.cost_micros for reply in replies] == [0, 3, 4, 0]
        assert single.cached
        bulk = (await list_lines(database))[1]
        assert (bulk.subjects, bulk.shares, bulk.settled_micros) == (("b", "c"), (3, 4), 7)


class TestPermission:
    async def test_a_cancelled_run_buys_nothing(self, database: Database) -> None:
        run_id = await add_run(database, is_cancelled=True)

        await self._refused(database, run_id, "run.cancelled")

    async def test_a_run_uses_only_the_providers_it_names(self, database: Database) -> None:
        run_id = await add_run(database, providers=["hunter"])

        await self._refused(database, run_id, "run.provider_denied")

    async def test_an_effect_is_not_for_the_providers_that_a_run_may_ask(
        self, database: Database
    ) -> None:
        """A message of a run that may ask nobody is sent: `sends` decides about that."""
        run_id, fake = await add_run(database, providers=[]), FakeProvider()

        async with running_gateway(database) as gateway:
            with running_job(run_id, authorize=go):
                await gateway.gate.call(a_call(effect=True), fake)

        assert len(fake.references) == 1

    @pytest.mark.parametrize("is_down", [True, False])
    async def test_a_run_does_not_wait_for_a_provider_it_may_not_use(
        self, database: Database, *, is_down: bool
    ) -> None:
        """Neither until a broken one is tried again nor until a throttled one may be called."""
        denied, cancelled = (
            await add_run(database, providers=[]),
            await add_run(database, is_cancelled=True),
        )
        error = Unreached("down") if is_down else Throttled("slow down", 30.0)
        setup = GatewaySetup(settings=Settings(breaker=BreakerSettings(failures=1)))

        async with running_gateway(database, setup) as gateway:
            with pytest.raises(type(error)):
                await gateway.gate.call(a_call("a"), failing_provider(error))
            with running_job(await add_run(database)), pytest.raises(Throttled) as waiting:
                await gateway.gate.call(a_call("b"), FakeProvider())
            refusals: list[str] = []
            for run_id in (denied, cancelled):
                with running_job(run_id), pytest.raises(Denied) as exc_info:
                    await gateway.gate.call(a_call("b"), FakeProvider())
                refusals.append(exc_info.value.error_code)

        assert isinstance(waiting.value, BreakerOpen) == is_down
        assert refusals == ["run.provider_denied", "run.cancelled"]

    async def test_a_provider_switched_off_is_not_called(self, database: Database) -> None:
        await self._refused(
            database, None, "provider.off", GatewaySetup(is_allowed=lambda _: False)
        )

    async def _refused(
        self,
        database: Database,
        run_id: UUID | None,
        code: str,
        setup: GatewaySetup = DEFAULT_SETUP,
    ) -> None:
        fake = FakeProvider()
        async with running_gateway(database, setup) as gateway:
            with running_job(run_id), pytest.raises(Denied) as exc_info:
                await gateway.gate.call(a_call(), fake)
        assert exc_info.value.error_code == code
        assert fake.references == []
        assert await list_lines(database) == []

    async def test_an_evicted_node_can_neither_buy_nor_send(self, database: Database) -> None:
        fake = FakeProvider()

        async with running_gateway(database) as gateway:
            await remove_node(database, gateway.node_id)
            with pytest.raises(NodeFenced):
                await gateway.gate.call(a_call(), fake)
            with running_job(authorize=go), pytest.raises(NodeFenced):
                await gateway.gate.call(a_call(effect=True), fake)

        assert fake.references == []
        assert await list_lines(database) == []


class TestCaps:
    async def test_a_runs_cap_ends_the_paid_part(self, database: Database) -> None:
        run_id = await add_run(database, cap=25)

        async with running_gateway(database) as gateway:
            with running_job(run_id):
                for question in "ab":
                    await gateway.gate.call(a_call(question), FakeProvider(cost=10))
                with pytest.raises(CapSpent):
                    await gateway.gate.call(a_call("c"), FakeProvider())
                await gateway.gate.call(a_call("free", max_cost_micros=0), FakeProvider(cost=0))

    async def test_a_leads_cap_counts_for_that_lead_only(self, database: Database) -> None:
        run_id = await add_run(database, lead_cap=10)

        async with running_gateway(database) as gateway:
            with running_job(run_id):
                await gateway.gate.call(a_call("a"), FakeProvider(cost=10))
                with pytest.raises(CapSpent):
                    await gateway.gate.call(a_call("b"), FakeProvider())
                await gateway.gate.call(a_call("b", subjects=("lead-2",)), FakeProvider(cost=10))

    @pytest.mark.parametrize(
        ("caps", "wait"),
        [
            (LedgerSettings(all=Caps(day_micros=15)), timedelta(hours=15)),
            (
                LedgerSettings(providers={"acme": Caps(month_micros=15)}),
                timedelta(days=26, hours=15),
            ),
        ],
    )
    async def test_a_spent_cap_that_renews_says_when(
        self, database: Database, caps: LedgerSettings, wait: timedelta
    ) -> None:
        clock = ManualClock()  # starts on 5 January at 9

        async with running_gateway(database, GatewaySetup(ledger=caps, clock=clock)) as gateway:
            await gateway.gate.call(a_call("a"), FakeProvider(cost=10))
            with pytest.raises(Unfunded) as exc_info:
                await gateway.gate.call(a_call("b"), FakeProvider())
            clock.advance(wait.total_seconds() + 1)
            await gateway.gate.call(a_call("b"), FakeProvider())

        assert exc_info.value.retry_after_seconds == pytest.approx(wait.total_seconds())

    async def test_a_call_that_is_out_over_midnight_counts_for_the_day_it_was_bought(
        self, database: Database
    ) -> None:
        clock = ManualClock(datetime(2026, 1, 5, 23, 59, 59, tzinfo=UTC))
        caps = LedgerSettings(all=Caps(day_micros=15))

        async def over_midnight(_: UUID) -> Reply:
            clock.advance(5)
            return Reply(body=b"answer", cost_micros=7)

        async with running_gateway(database, GatewaySetup(ledger=caps, clock=clock)) as gateway:
            await gateway.gate.call(a_call("a"), FakeProvider(answer=over_midnight))
            await gateway.gate.call(a_call("b"), FakeProvider(cost=10))

        days = await find_budgets(database, ["all:day:2026-01-05", "all:day:2026-01-06"])
        assert [(day.spent_micros, day.reserved_micros) for day in days] == [(7, 0), (10, 0)]

    async def test_no_cap_is_passed_by_two_processes_buying_at_once(
        self, database: Database
    ) -> None:
        run_id = await add_run(database, cap=1000, lead_cap=130)
        setup = GatewaySetup(
            settings=Settings(breaker=BreakerSettings(failures=999, failure_ratio=2.0))
        )
        refused: list[CapSpent] = []

        async with (
            running_gateway(database, setup) as first,
            running_gateway(database, setup) as second,
            anyio.create_task_group() as tasks,
        ):
            for number in range(8):
                tasks.start_soon(
                    buy_much, (first, second)[number % 2].gate, run_id, number, refused
                )

        lines = await list_lines(database)
        spent = sum(line.settled_micros or 0 for line in lines)
        unresolved = sum(
            line.reserved_micros for line in lines if line.state is LineState.UNRESOLVED
        )
        (budget,) = await find_budgets(database, [f"run:{run_id}"])
        assert (budget.spent_micros, budget.reserved_micros) == (spent, unresolved)
        assert spent + unresolved <= 1000
        assert refused
        leads = [f"lead:{run_id}:lead-{number}" for number in range(12)]
        for lead in await find_budgets(database, leads):
            assert lead.spent_micros + lead.reserved_micros <= 130


async def mixed_fortune(reference: UUID) -> Reply:
    await anyio.lowlevel.checkpoint()
    match reference.int % 5:
        case 0:
            raise Cut("cut")
        case 1:
            raise Permanent("no")
        case _:
            return Reply(body=b"", cost_micros=reference.int % 10)


async def buy_much(
    gate: ProviderGateway, run_id: UUID, number: int, refused: list[CapSpent]
) -> None:
    with running_job(run_id):
        for turn in range(40):
            call = a_call(f"{number}:{turn}", subjects=(f"lead-{turn % 12}",))
            try:
                await gate.call(call, FakeProvider(answer=mixed_fortune))
            except CapSpent as error:
                refused.append(error)
            except (Cut, Permanent):
                continue


async def calmest(measure: Callable[[], Awaitable[float]], enough: float) -> float:
    """Return the least of a few measurements: where the machine is busy, calls prepare earlier."""
    least = await measure()
    for _ in range(5):
        if least < enough:
            break
        least = min(least, await measure())
    return least


class TestEffects:
    async def test_an_effect_that_no_stage_authorizes_is_a_bug(self, database: Database) -> None:
        async with running_gateway(database) as gateway:
            with pytest.raises(Bug):
                await gateway.gate.call(a_call(effect=True), FakeProvider())

    @pytest.mark.parametrize(
        ("verdict", "error", "code"),
        [
            (Defer("held", 60.0), Throttled, "sending.held"),
            (Deny("suppressed", "on the list"), Denied, "suppressed"),
        ],
    )
    async def test_what_is_not_authorized_is_neither_sent_nor_paid(
        self, database: Database, verdict: SendDecision, error: type[Exception], code: str
    ) -> None:
        async def authorize(_: object, jobs: Sequence[JobContext]) -> Sequence[SendDecision]:
            return [verdict for _ in jobs]

        fake = FakeProvider()

        async with running_gateway(database) as gateway:
            with running_job(authorize=authorize), pytest.raises(error) as exc_info:
                await gateway.gate.call(a_call(effect=True), fake)

        assert getattr(exc_info.value, "error_code", "") == code
        assert fake.references == []
        assert await list_lines(database) == []

    async def test_an_effect_is_authorized_shortly_before_its_moment_and_no_earlier(
        self, database: Database
    ) -> None:
        clock = SystemClock()

        async def measure() -> float:
            authorized: dict[UUID, float] = {}
            early_seconds: list[float] = []

            async def authorize(_: object, jobs: Sequence[JobContext]) -> Sequence[SendDecision]:
                authorized.update({job.job_id: clock.monotonic() for job in jobs})
                return [Allow() for _ in jobs]

            async def send(gateway: RunningGateway, question: str) -> None:
                with running_job(authorize=authorize) as job:

                    async def fake(_: UUID) -> Reply:
                        early_seconds.append(clock.monotonic() - authorized[job.job_id])
                        return Reply(body=b"taken")

                    await gateway.gate.call(a_call(question, effect=True), fake)

            limits = {"acme": Provider({"default": (Window(480, 60),)})}
            async with (
                running_gateway(database, GatewaySetup(providers=limits)) as gateway,
                anyio.create_task_group() as tasks,
            ):
                for question in "abcdefgh":
                    tasks.start_soon(send, gateway, question)
            return sorted(early_seconds)[4]

        # in doubt, should we be killed; authorized when its moment is leased it would be 0.3
        assert await calmest(measure, 0.15) < 0.15

    async def test_many_effects_are_authorized_together(self, database: Database) -> None:
        batches: list[int] = []

        async def authorize(_: object, jobs: Sequence[JobContext]) -> Sequence[SendDecision]:
            batches.append(len(jobs))
            return [Allow() for _ in jobs]

        async def send(gate: ProviderGateway, number: int) -> None:
            with running_job(authorize=authorize):
                await gate.call(a_call(str(number), effect=True), FakeProvider())

        async with running_gateway(database) as gateway:
            await gateway.gate.call(a_call("probe"), FakeProvider())
            async with anyio.create_task_group() as tasks:
                for number in range(50):
                    tasks.start_soon(send, gateway.gate, number)

        assert sum(batches) == 50
        assert len(batches) < 10

    @pytest.mark.parametrize(
        ("error", "raised", "state"),
        [
            (Unreached("refused"), Unreached, LineState.RELEASED),
            (Permanent("4xx"), Permanent, LineState.RELEASED),
            (Transient("smtp 4xx"), Transient, LineState.RELEASED),
            (Cut("cut"), Unsure, LineState.UNRESOLVED),
            (KeyError("ours"), Unsure, LineState.UNRESOLVED),
            (Unsure("5xx"), Unsure, LineState.UNRESOLVED),
        ],
    )
    async def test_an_effect_that_may_have_happened_is_unsure(
        self, database: Database, error: Exception, raised: type[Exception], state: LineState
    ) -> None:
        recorded: list[BaseException | None] = []

        async def record(
            _: object, __: JobContext, error: BaseException | None, ___: object
        ) -> None:
            recorded.append(error)

        async with running_gateway(database) as gateway:
            with running_job(authorize=go, record=record), pytest.raises(raised) as exc_info:
                await gateway.gate.call(a_call(effect=True), failing_provider(error))

        assert [line.state for line in await list_lines(database)] == [state]
        assert recorded == [exc_info.value]

    async def test_an_effect_is_booked_even_when_its_stage_cannot_record_it(
        self, database: Database
    ) -> None:
        async def record(*_: object) -> None:
            raise ValueError("broken")

        async with running_gateway(database) as gateway:
            with running_job(authorize=go, record=record), pytest.raises(Unsure):
                await gateway.gate.call(a_call(effect=True), FakeProvider(cost=2))

        assert await states(database) == [(LineState.SETTLED, 2, "found")]

    async def test_effects_are_never_answered_from_memory(self, database: Database) -> None:
        fake = FakeProvider()

        async with running_gateway(database) as gateway:
            for _ in range(2):
                with running_job(authorize=go):
                    await gateway.gate.call(a_call(effect=True), fake)

        assert len(fake.references) == 2
        assert await database.fetch_value(sql("SELECT count(*) FROM answer")) == 0

    async def test_effects_are_recorded_together_though_their_node_is_gone(
        self, database: Database
    ) -> None:
        recorded: list[int] = []
        is_out, is_gone = list[UUID](), anyio.Event()

        async def record_many(_: object, effects: Sequence[object]) -> None:
            recorded.append(len(effects))

        async def answer(reference: UUID) -> Reply:
            is_out.append(reference)
            if len(is_out) == 5:
                await remove_node(database, gateway.node_id)
                is_gone.set()
            await is_gone.wait()
            return Reply(body=b"taken")

        async def send() -> None:
            with running_job(authorize=go) as job:
                job.record_many = record_many
                fake = FakeProvider(answer=answer)
                await gateway.gate.call(a_call(str(job.job_id), effect=True), fake)

        async with running_gateway(database) as gateway:
            await gateway.gate.call(a_call("probe"), FakeProvider())
            async with anyio.create_task_group() as tasks:
                for _ in range(5):
                    tasks.start_soon(send)

        assert sum(recorded) == 5


class TestRefusedPurchase:
    """What a refused purchase took is given back: the probe of a breaker and of a limit."""

    async def test_the_next_call_may_try_a_provider_that_was_down(self, database: Database) -> None:
        run_id = await add_run(database, cap=0)
        breaker = BreakerSettings(failures=1, cool_down_seconds=0.4)
        setup = GatewaySetup(settings=Settings(breaker=breaker))

        async with running_gateway(database, setup) as gateway:
            with pytest.raises(Unreached):
                await gateway.gate.call(a_call("a"), failing_provider(Unreached("down")))
            await REAL_TIME.sleep(0.45)
            with running_job(run_id), pytest.raises(CapSpent):
                await gateway.gate.call(a_call("b"), FakeProvider())
            reply = await gateway.gate.call(a_call("c"), FakeProvider())

        assert reply.body == b"answer"

    async def test_a_call_without_a_moment_keeps_no_probe_of_the_breaker(
        self, database: Database
    ) -> None:
        setup = GatewaySetup(
            settings=Settings(breaker=BreakerSettings(failures=1, cool_down_seconds=0.4)),
            providers={"acme": Provider({"default": (Window(2, 60),)})},
        )

        async with running_gateway(database, setup) as gateway:
            with pytest.raises(Unreached):
                await gateway.gate.call(a_call("a"), failing_provider(Unreached("down")))
            await REAL_TIME.sleep(0.45)
            for question in "bc":
                with pytest.raises(Throttled) as refused:
                    await gateway.gate.call(a_call(question), FakeProvider())
                assert refused.value.error_code == "net.limit"

    async def test_the_next_call_may_learn_the_limit(self, database: Database) -> None:
        run_id = await add_run(database, cap=0)

        async with running_gateway(database) as gateway:
            with running_job(run_id), pytest.raises(CapSpent):
                await gateway.gate.call(a_call("a"), FakeProvider())
            reply = await gateway.gate.call(a_call("b"), FakeProvider())

        assert reply.body == b"answer"


class TestDeparture:
    async def test_a_call_is_bought_shortly_before_its_moment_and_no_earlier(
        self, database: Database
    ) -> None:
        bought_at: dict[str, float] = {}

        def note(point: str) -> None:
            if point.endswith("reserve.after"):
                bought_at[point.split(".")[1]] = REAL_TIME.monotonic()

        async def ask(gateway: RunningGateway, question: str, early_seconds: list[float]) -> None:
            async def answer(_: UUID) -> Reply:
                early_seconds.append(REAL_TIME.monotonic() - bought_at[question])
                return Reply(body=b"answer")

            call = a_call(question, operation=question)
            await gateway.gate.call(call, FakeProvider(answer=answer))

        setup = GatewaySetup(
            providers={"acme": Provider({"default": (Window(480, 60),)})}, crash_point=note
        )
        questions = iter(range(100))

        async def measure() -> float:
            early_seconds: list[float] = []
            async with (
                running_gateway(database, setup) as gateway,
                anyio.create_task_group() as tasks,
            ):
                for question in itertools.islice(questions, 8):
                    tasks.start_soon(ask, gateway, f"q{question}", early_seconds)
            return sorted(early_seconds)[4]

        # a line bought when its moment is leased waits 0.3 s
        assert await calmest(measure, 0.1) < 0.1

    async def test_a_call_that_missed_its_moment_gives_back_what_it_bought(
        self, database: Database
    ) -> None:
        stalls = [0.6]

        def stall(point: str) -> None:
            until = REAL_TIME.monotonic()
            if point.endswith("reserve.after") and stalls:
                until += stalls.pop()
            while REAL_TIME.monotonic() < until:
                continue

        limits = {"acme": Provider({"default": (Window(30, 60),)})}
        fake = FakeProvider()
        setup = GatewaySetup(providers=limits, crash_point=stall)

        async with running_gateway(database, setup) as gateway:
            await gateway.gate.call(a_call(), fake)

        first, second = await list_lines(database)
        assert (first.state, first.outcome) == (LineState.RELEASED, "net.not_sent")
        assert (second.state, second.id) == (LineState.SETTLED, fake.references[0])

    async def test_few_calls_give_back_what_they_bought_where_buying_takes_its_time(
        self, database: Database
    ) -> None:
        seconds = itertools.cycle([0.0, 0.03, 0.01, 0.06, 0.0, 0.02])

        def dawdle(point: str) -> None:
            until = REAL_TIME.monotonic()
            if point.endswith("reserve.before"):
                until += next(seconds)
            while REAL_TIME.monotonic() < until:
                continue

        limits = {"acme": Provider({"default": (Window(1_200, 60),)})}
        setup = GatewaySetup(providers=limits, crash_point=dawdle)
        async with running_gateway(database, setup) as gateway, anyio.create_task_group() as tasks:
            for number in range(30):
                tasks.start_soon(gateway.gate.call, a_call(str(number)), FakeProvider())

        states = Counter(line.state for line in await list_lines(database))
        assert states[LineState.SETTLED] == 30
        assert states[LineState.RELEASED] <= 3

    async def test_a_call_that_is_cancelled_before_its_moment_gives_back_what_it_bought(
        self, database: Database
    ) -> None:
        scope, fake = anyio.CancelScope(), FakeProvider()

        def cancel(point: str) -> None:
            if point.endswith("second.reserve.after"):
                asyncio.get_running_loop().call_soon(scope.cancel)

        setup = GatewaySetup(
            providers={"acme": Provider({"default": (Window(60, 60),)})}, crash_point=cancel
        )
        async with running_gateway(database, setup) as gateway:
            await gateway.gate.call(a_call("a"), FakeProvider())
            call = a_call("b", operation="second")
            gateway.gate.providers.lane(call)._pace._preparation_mean = 1.0  # it buys at once
            with scope:
                await gateway.gate.call(call, fake)

        assert (await list_lines(database))[1].state is LineState.RELEASED
        assert fake.references == []

    async def test_an_effect_is_prepared_before_it_is_authorized(self, database: Database) -> None:
        steps: list[str] = []

        @asynccontextmanager
        async def prepare() -> AsyncIterator[None]:
            steps.append("open")
            yield
            steps.append("close")

        async def authorize(tx: object, jobs: Sequence[JobContext]) -> Sequence[SendDecision]:
            steps.append("authorize")
            return await go(tx, jobs)

        async def answer(_: UUID) -> Reply:
            steps.append("send")
            return Reply(body=b"taken")

        async with running_gateway(database) as gateway:
            with running_job(authorize=authorize):
                fake = FakeProvider(answer=answer)
                await gateway.gate.call(a_call(effect=True), fake, prepare)

        assert steps == ["open", "authorize", "send", "close"]

    async def test_what_cannot_be_prepared_costs_nothing_and_opens_the_breaker(
        self, database: Database
    ) -> None:
        @asynccontextmanager
        async def prepare() -> AsyncIterator[None]:
            if gateway.gate.in_flight == 0:
                raise Unreached("refused")
            yield

        fake = FakeProvider()
        limits = {"acme": Provider({"default": (Window(60, 60),)})}
        settings = Settings(breaker=BreakerSettings(failures=1))

        async with running_gateway(
            database, GatewaySetup(settings=settings, providers=limits)
        ) as gateway:
            with pytest.raises(Unreached):
                await gateway.gate.call(a_call(), fake, prepare)
            with pytest.raises(BreakerOpen):
                await gateway.gate.call(a_call(), fake)

        assert fake.references == []
        assert await list_lines(database) == []


class TestLimits:
    async def test_a_call_that_would_wait_long_is_throttled_with_a_retry_after(
        self, database: Database
    ) -> None:
        names = [f"acme{number}" for number in range(5)]
        limits = {name: Provider(limits={"default": (Window(2, 60),)}) for name in names}
        fake = FakeProvider()

        async with running_gateway(database, GatewaySetup(providers=limits)) as gateway:
            for name in names:  # on a busy machine a call may miss even its first moment
                with suppress(Throttled):
                    await gateway.gate.call(a_call("a", provider=name), fake)
                    break
            with pytest.raises(Throttled) as exc_info:
                await gateway.gate.call(a_call("b", provider=name), fake)

        assert exc_info.value.error_code == "net.limit"
        assert 28 < exc_info.value.retry_after_seconds < 32
        assert len(fake.references) == 1

    async def test_the_wait_for_a_moment_is_no_time_of_its_job(self, database: Database) -> None:
        provider = Provider(limits={"default": (Window(240, 60),)})

        async with running_gateway(database, GatewaySetup(providers={"acme": provider})) as gateway:
            with running_job() as job:
                for question in "abc":
                    await gateway.gate.call(a_call(question), FakeProvider())

        assert job.queued_seconds > 0.4  # two moments, a quarter of a second apart

    async def test_a_retry_after_of_a_provider_holds_for_all_nodes(
        self, database: Database
    ) -> None:
        fake = FakeProvider()

        async with running_gateway(database) as first, running_gateway(database) as second:
            with pytest.raises(Throttled):
                await first.gate.call(a_call("a"), failing_provider(Throttled("slow down", 30.0)))
            for gateway in (first, second):
                with pytest.raises(Throttled) as exc_info:
                    await gateway.gate.call(a_call("b"), fake)
                assert exc_info.value.retry_after_seconds > 25

        assert fake.references == []

    async def test_credits_that_are_gone_hold_nobody_back(self, database: Database) -> None:
        fake = FakeProvider()

        async with running_gateway(database) as gateway:
            with pytest.raises(Unfunded):
                await gateway.gate.call(
                    a_call("a"), failing_provider(Unfunded("no credits", 3600.0))
                )
            await gateway.gate.call(a_call("b"), fake)

        assert len(fake.references) == 1

    async def test_the_breaker_opens_and_refuses_before_money_is_touched(
        self, database: Database
    ) -> None:
        setup = GatewaySetup(settings=Settings(breaker=BreakerSettings(failures=3)))

        async with running_gateway(database, setup) as gateway:
            for number in range(3):
                with pytest.raises(Unreached):
                    await gateway.gate.call(
                        a_call(str(number)), failing_provider(Unreached("down"))
                    )
            with pytest.raises(BreakerOpen):
                await gateway.gate.call(a_call("last"), FakeProvider())

        assert len(await list_lines(database)) == 3
