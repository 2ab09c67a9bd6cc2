import anyio
import pytest
from leadflood.api.turns import Ended, Turns

KEY = b"k"


async def test_those_who_wait_find_how_the_first_one_ended() -> None:
    turns, done, seen = Turns(), 0, list[object]()

    async def ask() -> None:
        nonlocal done
        async with turns.take(KEY) as turn:
            if turn.ended is None:
                await anyio.lowlevel.checkpoint()
                done += 1
                turn.ended = Ended(b"", "made")
            seen.append(turn.ended.answer)

    async with anyio.create_task_group() as group:
        for _ in range(50):
            group.start_soon(ask)

    assert done == 1
    assert seen == ["made"] * 50
    assert len(turns) == 0


async def test_one_who_fails_or_is_cut_off_leaves_the_turn_to_the_next() -> None:
    turns = Turns()

    with pytest.raises(ValueError, match="no"):
        async with turns.take(KEY):
            raise ValueError("no")
    with anyio.move_on_after(0):
        async with turns.take(KEY):
            await anyio.sleep_forever()

    async with turns.take(KEY) as turn:
        assert turn.ended is None
    assert len(turns) == 0
