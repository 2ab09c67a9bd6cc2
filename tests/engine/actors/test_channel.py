"""The bounded channel: slots are reserved before rows are claimed."""

import anyio
from hypothesis import given, strategies as st
from leadflood.engine.actors.channel import LEAST_SLOTS, MOST_SLOTS, JobChannel


def test_a_channel_holds_at_least_its_stages_concurrency() -> None:
    assert JobChannel[int](4).capacity == LEAST_SLOTS
    assert JobChannel[int](500).capacity == 500


def test_it_holds_what_its_stage_settles_in_a_second_within_bounds() -> None:
    channel = JobChannel[int](64)

    channel.resize(3_000.0)
    assert channel.capacity == 3_000
    channel.resize(9e9)
    assert channel.capacity == MOST_SLOTS
    channel.resize(0.0)
    assert channel.capacity == 64


def test_hand_offs_take_all_free_slots_but_half_while_a_backlog_waits() -> None:
    channel = JobChannel[int](40)

    assert channel.reserve_for_handoff(100) == 40
    channel.release(40)
    channel.has_backlog = True
    assert channel.reserve_for_handoff(15) == 15
    assert channel.reserve_for_handoff(15) == 5
    assert channel.reserve_for_handoff(15) == 0
    assert channel.reserve(100) == 20


def test_a_closed_channel_takes_no_hand_off_but_keeps_what_it_has() -> None:
    channel = JobChannel[int](40)
    channel.push([1, 2], channel.reserve_for_handoff(2))

    channel.is_open = False

    assert channel.reserve_for_handoff(1) == 0
    assert channel.drain() == [1, 2]


def test_a_channel_whose_jobs_are_not_settled_in_time_takes_no_hand_off() -> None:
    channel = JobChannel[int](40)
    channel.is_behind = lambda: True

    assert channel.reserve_for_handoff(1) == 0


def test_there_is_room_again_when_half_of_the_slots_are_free() -> None:
    channel = JobChannel[int](40)
    channel.push(list(range(40)), channel.reserve(40))
    assert not channel.has_room.is_set()

    for _ in range(19):
        channel.take()
    assert not channel.has_room.is_set()
    channel.take()

    assert channel.has_room.is_set()


def test_reserved_slots_are_no_room() -> None:
    channel = JobChannel[int](40)

    reserved = channel.reserve_for_handoff(40)
    assert not channel.has_room.is_set()
    channel.release(reserved)

    assert channel.has_room.is_set()


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["reserve", "hand", "push", "release", "take"]), st.integers(0, 60)
        ),
        max_size=60,
    )
)
def test_no_claim_is_ever_without_a_slot(steps: list[tuple[str, int]]) -> None:
    channel, open_slots = JobChannel[int](40), 0
    for step, count in steps:
        match step:
            case "reserve":
                open_slots += channel.reserve(count)
            case "hand":
                open_slots += channel.reserve_for_handoff(count)
            case "push":
                used = min(count, open_slots)
                channel.push([0] * used, used)
                open_slots -= used
            case "release":
                channel.release(min(count, open_slots))
                open_slots -= min(count, open_slots)
            case _:
                channel.take_batch(count)
        assert len(channel) + channel.reserved <= channel.capacity
        assert channel.reserved == open_slots
        assert channel.has_room.is_set() == (channel.free_slots() * 2 >= channel.capacity)


async def test_a_push_wakes_as_many_waiting_workers_as_there_are_jobs() -> None:
    channel, woken = JobChannel[int](40), 0

    async def wait() -> None:
        nonlocal woken
        await channel.wait_for_jobs()
        woken += 1

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(wait)
        await anyio.lowlevel.checkpoint()
        channel.push([1, 2, 3], channel.reserve(3))
        for _ in range(3):
            await anyio.lowlevel.checkpoint()
        assert woken == 3
        group.cancel_scope.cancel()


async def test_a_waiter_cancelled_just_after_its_wake_up_hands_it_on() -> None:
    channel, woken = JobChannel[int](40), []

    async def wait(name: str, scope: anyio.CancelScope) -> None:
        with scope:
            await channel.wait_for_jobs()
            woken.append(name)

    first, second = anyio.CancelScope(), anyio.CancelScope()
    async with anyio.create_task_group() as group:
        group.start_soon(wait, "first", first)
        await anyio.lowlevel.checkpoint()
        group.start_soon(wait, "second", second)
        await anyio.lowlevel.checkpoint()
        channel.push([1], channel.reserve(1))
        first.cancel()
        with anyio.fail_after(2):
            while not woken:
                await anyio.lowlevel.checkpoint()
        second.cancel()

    assert len(woken) == 1
