"""Request handling of the pretend world: quotas, faults, open calls, restarts."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import anyio.lowlevel
import msgspec
import pytest
from leadflood.engine.clock import ManualClock
from leadflood.sandbox.faults import Fault, FaultProfile
from leadflood.sandbox.prices import Limit, QuotaWindowKind

from tests.sandbox.caller import Caller, Reply
from tests.sandbox.conftest import Open

_SEARCH: dict[str, Any] = {"person_titles": ["COO"], "per_page": 20}


async def _search(world: Caller) -> Reply:
    return await world.apollo("mixed_people/api_search", _SEARCH)


async def _ids(world: Caller) -> list[str]:
    people = (await _search(world)).json["people"]
    return [person["id"] for person in people]


async def _match(world: Caller, apollo_id: str, reference: str = "") -> Reply:
    return await world.apollo("people/match", {"id": apollo_id}, reference=reference)


async def test_a_fixed_window_ends_with_the_clocks_minute(open_world: Open) -> None:
    clock = ManualClock()
    limits = {"apollo.search": (Limit(2, 60),)}
    async with open_world(clock, limits=limits) as world:
        clock.advance(59)
        before = [await _search(world) for _ in range(3)]
        clock.advance(1)
        after = await _search(world)

    assert [reply.status for reply in before] == [200, 200, 429]
    assert before[2].headers["retry-after"] == "1"
    assert "2 times per minute" in before[2].json["message"]
    assert after.status == 200


async def test_a_sliding_window_moves_with_the_calls(open_world: Open) -> None:
    clock = ManualClock()
    limits = {"apollo.search": (Limit(2, 60, QuotaWindowKind.SLIDING),)}
    async with open_world(clock, limits=limits) as world:
        clock.advance(59)
        before = [await _search(world) for _ in range(2)]
        clock.advance(1)
        refused = await _search(world)
        clock.advance(59)
        after = await _search(world)

    assert [reply.status for reply in before] == [200, 200]
    assert (refused.status, refused.headers["retry-after"]) == (429, "59")
    assert after.status == 200


async def test_all_windows_can_be_made_sliding(open_world: Open) -> None:
    clock = ManualClock()
    async with open_world(clock, plan_multiplier=1, window_kind=QuotaWindowKind.SLIDING) as world:
        clock.advance(59)
        first = [await _search(world) for _ in range(200)]
        clock.advance(1)
        refused = await _search(world)

    assert {reply.status for reply in first} == {200}
    assert refused.status == 429


async def test_the_same_seed_and_order_gives_the_same_answers(
    open_world: Open, tmp_path: Path
) -> None:
    bodies: list[list[bytes]] = []
    for name in ("a", "b"):
        async with open_world(folder=str(tmp_path / name)) as world:
            ids = await _ids(world)
            bodies.append([(await _match(world, apollo_id)).body for apollo_id in ids])
    async with open_world(folder=str(tmp_path / "c"), seed=8) as world:
        other = [(await _match(world, apollo_id)).body for apollo_id in await _ids(world)]

    assert bodies[0] == bodies[1]
    assert bodies[0] != other


async def test_invoices_counters_and_faults_go_on_after_a_restart(open_world: Open) -> None:
    async with open_world(faults=FaultProfile.NONE) as world:
        first = await _ids(world)
        await _match(world, first[0], "call-1")
        before = await world.admin("counters")
    async with open_world() as world:
        after = await world.admin("counters")
        await _match(world, first[0], "call-2")
        lines = await world.admin("invoices")

    assert before == after
    assert before["requests"]["apollo"] == {
        "people.search": {"200": 1},
        "people.match": {"200": 1},
    }
    assert [(line["number"], line["reference"]) for line in lines] == [(1, "call-1"), (2, "call-2")]


@pytest.mark.parametrize("fault", [Fault.THROTTLED, Fault.THROTTLED_BARE, Fault.SERVER_ERROR])
async def test_a_refusal_does_no_work_and_costs_nothing(open_world: Open, fault: Fault) -> None:
    async with open_world(fault_rates={fault: 1.0}) as world:
        apollo = await _match(world, "x")
        hunter = await world.hunter("account")
        pdl = await world.call("GET", f"{world.at.pdl}/person/enrich")
        openai = await world.call("POST", f"{world.at.openai}/chat/completions", {})
        trengo = await world.call("GET", f"{world.at.trengo}/tickets")

        assert await world.admin("invoices") == []
    replies = (apollo, hunter, pdl, openai, trengo)
    if fault is Fault.SERVER_ERROR:
        assert [reply.status for reply in replies] == [500] * 5
    else:
        assert [reply.status for reply in replies] == [429, 403, 429, 429, 429]
    has_hint = ["retry-after" in reply.headers for reply in replies]
    is_told = fault is Fault.THROTTLED
    assert has_hint == [is_told, False, False, is_told, is_told]


async def test_a_cut_happens_before_reading_or_in_the_middle_of_a_billed_answer(
    open_world: Open,
) -> None:
    async with open_world() as world:
        ids = await _ids(world)
        await _set_fault(world, Fault.CUT)
        errors = [await _failing(_match(world, apollo_id, apollo_id)) for apollo_id in ids]

        lines = await world.admin("invoices")
    in_the_middle = sum(isinstance(error, aiohttp.ClientPayloadError) for error in errors)
    assert all(errors)
    assert 0 < in_the_middle < len(ids)
    assert 0 < len(lines) <= in_the_middle


async def test_a_timeout_never_answers_and_may_have_billed(open_world: Open) -> None:
    async with open_world() as world:
        ids = (await _ids(world))[:8]
        await _set_fault(world, Fault.TIMEOUT)
        async with asyncio.TaskGroup() as tasks:
            calls = [
                tasks.create_task(_failing(_match(world, apollo_id, apollo_id)))
                for apollo_id in ids
            ]
            while len(calls_open := await world.admin("open")) < len(ids):
                await anyio.lowlevel.checkpoint()
            lines = await world.admin("invoices")
            for call in calls:
                call.cancel()
        while await world.admin("open"):
            await anyio.lowlevel.checkpoint()

    done = {call["reference"] for call in calls_open if call["is_done"]}
    assert {call["reference"] for call in calls_open} == set(ids)
    assert 0 < len(done) < len(ids)
    assert {line["reference"] for line in lines} <= done


async def test_garbage_is_billed_and_cannot_be_read(open_world: Open) -> None:
    async with open_world() as world:
        ids = await _ids(world)
        await _set_fault(world, Fault.GARBAGE)
        reply = await _match(world, ids[0])
        lines = await world.admin("invoices")

    assert reply.status == 200
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(reply.body)
    assert len(lines) == 1


async def test_work_that_was_done_is_billed_whatever_answers_in_its_place(
    open_world: Open,
) -> None:
    statuses: Counter[int | str] = Counter()
    async with open_world() as world:
        ids = await _ids(world)
        matches = [
            apollo_id for apollo_id in ids if (await _match(world, apollo_id)).json["person"]
        ]
        billed = len(await world.admin("invoices"))
        await _set_fault(world, Fault.ACTED_5XX)
        for apollo_id in matches:
            try:
                with anyio.fail_after(0.3):
                    statuses[(await _match(world, apollo_id, apollo_id)).status] += 1
            except (aiohttp.ClientError, TimeoutError) as error:
                statuses[type(error).__name__] += 1

        lines = (await world.admin("invoices"))[billed:]
    assert [line["reference"] for line in lines] == matches
    assert {200, 500, 502, 504} <= statuses.keys()
    assert len(statuses) == 6


async def test_a_huge_answer_is_100_megabytes(open_world: Open) -> None:
    async with open_world(fault_rates={Fault.HUGE: 1.0}) as world:
        reply = await _search(world)

    assert len(reply.body) == 100 * 1024 * 1024


async def test_a_slow_answer_comes_when_its_time_has_passed(open_world: Open) -> None:
    clock = ManualClock()
    async with (
        open_world(
            clock, fault_rates={Fault.SLOW: 1.0}, latency_seconds={"apollo": 1.0}, slow_seconds=4.0
        ) as world,
        asyncio.TaskGroup() as tasks,
    ):
        call = tasks.create_task(_search(world))
        while clock.next_due_seconds() is None:
            await anyio.lowlevel.checkpoint()
        due_seconds = clock.next_due_seconds()
        is_early = call.done()
        clock.advance(5)

    assert due_seconds == 5.0
    assert not is_early
    assert call.result().status == 200


async def test_a_page_can_list_a_record_twice(open_world: Open) -> None:
    async with open_world(fault_rates={Fault.DUPLICATE: 1.0}) as world:
        ids = await _ids(world)

    assert ids[0] == ids[1]
    assert len(set(ids)) == len(ids) - 1


async def test_an_answer_can_contradict_the_one_before(open_world: Open) -> None:
    async with open_world() as world:
        ids = await _ids(world)
        before = [(await _match(world, apollo_id)).json["person"] for apollo_id in ids]
        await _set_fault(world, Fault.CONTRADICTING)
        after = [(await _match(world, apollo_id)).json["person"] for apollo_id in ids]

    pairs = [(a, b) for a, b in zip(before, after, strict=True) if a and b]
    assert all(a["id"] == b["id"] for a, b in pairs)
    assert all(a["organization"]["name"] != b["organization"]["name"] for a, b in pairs)


async def test_an_unknown_fault_profile_is_refused(world: Caller) -> None:
    reply = await world.call("POST", f"{world.at.admin}/faults", {"profile": "stormy"})

    assert reply.status == 400
    assert "stormy" in reply.json["error"]


async def test_a_caller_without_key_meets_no_fault_and_uses_no_quota(open_world: Open) -> None:
    async with open_world(fault_rates={Fault.SERVER_ERROR: 1.0}) as world:
        reply = await world.apollo("people/match", {}, key="wrong")

    assert reply.status == 401
    assert "x-rate-limit-minute" not in reply.headers


async def test_an_unknown_provider_is_404(world: Caller) -> None:
    root = world.at.admin.removesuffix("/_")

    reply = await world.call("GET", f"{root}/clearbit/v2/people")

    assert reply.status == 404


async def _set_fault(world: Caller, fault: Fault) -> None:
    await world.call("POST", f"{world.at.admin}/faults", {"rates": {fault: 1.0}})


async def _failing(call: Any) -> Exception | None:
    try:
        await call
    except aiohttp.ClientError as error:
        return error
    return None
