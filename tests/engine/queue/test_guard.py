"""Which database this is, how long it was silent, and who may send."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import msgspec
import pytest
from leadflood.engine.clock import ManualClock, SystemClock
from leadflood.engine.db import migrations
from leadflood.engine.db.embedded import embedded_postgres
from leadflood.engine.db.pool import Database, Settings as DatabaseSettings, open_database
from leadflood.engine.errors import Denied
from leadflood.engine.queue import repository
from leadflood.engine.queue.guard import (
    SENDING,
    ClockWrong,
    Guard,
    Settings,
    register_installation,
)
from leadflood.engine.queue.heartbeat import Heartbeat, NodeEvicted
from leadflood.engine.queue.witness import Witness, WitnessFile
from tests.support.db import open_folder
from tests.support.engine import EngineBench, wait_until
from tests.support.shifted_clock import ShiftedClock
from tests.support.statements import sql

QUICK = Settings(beat_seconds=0.02, dead_after_seconds=0.3)


def make_beat(bench: EngineBench, guard: Guard) -> Heartbeat:
    return Heartbeat(bench.settings, SystemClock(), guard, "toy", None, lambda: None)


async def sending(database: Database) -> tuple[str, str]:
    switch = (await repository.find_switches(database))[SENDING]
    return switch["state"], switch["by_whom"]


async def release(database: Database) -> None:
    await repository.write_switch(database, SENDING, "released", "me", "go", SystemClock().now())


async def count_beats(database: Database) -> int:
    return int(await database.fetch_value(sql("SELECT beat FROM installation")))


async def add_event(database: Database, xid: int) -> None:
    await database.execute(
        sql(
            "INSERT INTO event (era, xid, id, at, type, payload)"
            " VALUES (1, $1::text::xid8, gen_random_uuid(), now(), 'x', '{}')",
            "xid",
        ),
        xid=str(xid),
    )


async def enter_and_beat(bench: EngineBench, guard: Guard, beats: int = 3) -> None:
    """Live as a node for so many beats."""
    beat = make_beat(bench, guard)
    async with beat.enter() as node, anyio.create_task_group() as group:
        before = await count_beats(bench.db)
        group.start_soon(beat.run, node)

        async def has_beaten() -> bool:
            return await count_beats(bench.db) >= before + beats

        await wait_until(has_beaten)
        group.cancel_scope.cancel()


async def test_a_new_live_database_starts_with_sending_held(bench: EngineBench) -> None:
    await register_installation(bench.db, SystemClock(), "live")

    assert await sending(bench.db) == ("held", "leadflood")


async def test_a_new_sandbox_database_starts_with_sending_released(bench: EngineBench) -> None:
    await register_installation(bench.db, SystemClock(), "sandbox")

    assert await sending(bench.db) == ("released", "leadflood")


@pytest.mark.parametrize(
    ("clock", "mode"), [(ManualClock(), "live"), (SystemClock(), "sandbox")], ids=["clock", "mode"]
)
async def test_a_process_of_another_clock_or_mode_is_refused(
    bench: EngineBench, clock: ManualClock, mode: str
) -> None:
    await register_installation(bench.db, SystemClock(), "live")

    with pytest.raises(Denied, match="this database belongs to live mode on the system clock"):
        await register_installation(bench.db, clock, mode)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE installation SET system_identifier = '1'",
        "UPDATE installation SET timeline = timeline + 1",
        "UPDATE installation SET database_oid = 1",
    ],
    ids=["dump", "point in time", "copy"],
)
async def test_a_restored_database_raises_the_era_and_holds_sending(
    bench: EngineBench, change: str
) -> None:
    await register_installation(bench.db, SystemClock(), "sandbox")
    await bench.db.execute(sql(change))
    guard = Guard(SystemClock(), QUICK)

    assert await guard.look(bench.db) == 2

    assert await sending(bench.db) == ("held", "guard")
    assert await guard.look(bench.db) == 2


async def test_sending_is_held_after_an_hour_in_which_no_node_lived(bench: EngineBench) -> None:
    await register_installation(bench.db, SystemClock(), "sandbox")
    await bench.db.execute(
        sql("UPDATE installation SET last_beat_at = clock_timestamp() - interval '59 min'")
    )
    await Guard(SystemClock(), Settings()).look(bench.db)
    assert (await sending(bench.db))[0] == "released"
    await bench.db.execute(
        sql("UPDATE installation SET last_beat_at = clock_timestamp() - interval '61 min'")
    )

    await Guard(SystemClock(), Settings()).look(bench.db)

    assert await sending(bench.db) == ("held", "guard")
    assert "no node was alive for 61 min;" in await reason_of(bench.db)


async def test_how_long_no_node_was_alive_is_told_however_short_that_was(
    bench: EngineBench,
) -> None:
    await register_installation(bench.db, SystemClock(), "sandbox")
    await bench.db.execute(
        sql("UPDATE installation SET last_beat_at = clock_timestamp() - interval '40 s'")
    )

    await Guard(SystemClock(), Settings(held_after_seconds=5)).look(bench.db)

    assert "no node was alive for 40 s;" in await reason_of(bench.db)


async def reason_of(database: Database) -> str:
    return str((await repository.find_switches(database))[SENDING]["reason"])


async def test_sending_goes_on_after_a_silence_while_another_node_lived(bench: EngineBench) -> None:
    await register_installation(bench.db, SystemClock(), "sandbox")
    await bench.db.execute(
        sql("UPDATE installation SET last_beat_at = clock_timestamp() - interval '2 days'")
    )
    async with make_beat(bench, Guard(SystemClock(), Settings(held_after_seconds=10**9))).enter():
        await Guard(SystemClock(), Settings()).look(bench.db)

    assert (await sending(bench.db))[0] == "released"


async def test_a_failover_under_a_running_node_holds_sending_and_ends_its_life(
    bench: EngineBench,
) -> None:
    await register_installation(bench.db, SystemClock(), "live")
    await release(bench.db)
    guard = Guard(SystemClock(), QUICK)
    beat = make_beat(bench, guard)

    async with beat.enter() as node:
        await bench.db.execute(sql("UPDATE installation SET timeline = timeline + 1"))
        with anyio.fail_after(5), pytest.raises(NodeEvicted, match="restored or failed over"):
            await beat.run(node)
    async with beat.enter() as next_node:
        assert (node.era, next_node.era) == (1, 2)

    assert await sending(bench.db) == ("held", "guard")


async def test_nothing_is_sent_between_a_failover_and_the_next_beat(bench: EngineBench) -> None:
    await register_installation(bench.db, SystemClock(), "live")
    guard = Guard(SystemClock(), Settings())
    async with make_beat(bench, guard).enter() as node:
        assert await guard.find_obstacle(bench.db, node.era) is None
        await bench.db.execute(sql("UPDATE installation SET timeline = timeline + 1"))

        assert "failed over" in str(await guard.find_obstacle(bench.db, node.era))


async def test_nothing_is_sent_under_an_era_that_has_passed(bench: EngineBench) -> None:
    await register_installation(bench.db, SystemClock(), "live")
    guard = Guard(SystemClock(), Settings())
    async with make_beat(bench, guard).enter() as node:
        await bench.db.execute(sql("UPDATE installation SET era = era + 1"))

        assert "restored" in str(await guard.find_obstacle(bench.db, node.era))


async def test_nothing_is_sent_when_the_last_look_is_older_than_a_beat(bench: EngineBench) -> None:
    await register_installation(bench.db, SystemClock(), "live")
    guard = Guard(SystemClock(), QUICK)
    async with make_beat(bench, guard).enter() as node:
        await SystemClock().sleep(3 * QUICK.beat_seconds)

        assert "older than a beat" in str(await guard.find_obstacle(bench.db, node.era))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE installation SET beat = beat - 2",
        "DELETE FROM event WHERE xid = '300'::xid8",
    ],
    ids=["fewer beats", "events are gone"],
)
async def test_a_database_behind_its_witness_was_turned_back(
    bench: EngineBench, tmp_path: Path, change: str
) -> None:
    await register_installation(bench.db, SystemClock(), "live")
    await release(bench.db)
    await add_event(bench.db, 200)
    await add_event(bench.db, 300)
    await enter_and_beat(bench, Guard(SystemClock(), QUICK, tmp_path))
    assert await Guard(SystemClock(), QUICK, tmp_path).look(bench.db) == 1
    await bench.db.execute(sql(change))

    assert await Guard(SystemClock(), QUICK, tmp_path).look(bench.db) == 2

    assert await sending(bench.db) == ("held", "guard")
    assert await Guard(SystemClock(), QUICK, tmp_path).look(bench.db) == 2


async def test_a_database_behind_its_witness_in_writes_alone_was_turned_back(
    bench: EngineBench, tmp_path: Path
) -> None:
    await register_installation(bench.db, SystemClock(), "live")
    await enter_and_beat(bench, Guard(SystemClock(), QUICK, tmp_path))
    await anyio.to_thread.run_sync(put_ahead, tmp_path)

    assert await Guard(SystemClock(), QUICK, tmp_path).look(bench.db) == 2


async def test_a_whole_data_folder_that_is_put_back_is_shown_by_the_witness_outside_of_it(
    bench: EngineBench, tmp_path: Path
) -> None:
    await register_installation(bench.db, SystemClock(), "live")
    await release(bench.db)
    inside, copy, outside = (tmp_path / name for name in ("data", "copy", "outside"))
    await enter_and_beat(bench, Guard(SystemClock(), QUICK, inside))
    beat = await count_beats(bench.db)
    await anyio.run_process(["/bin/cp", "-a", str(inside), str(copy)])
    guard = Guard(SystemClock(), QUICK, inside, outside)
    await enter_and_beat(bench, guard)
    async with anyio.create_task_group() as group:
        group.start_soon(guard.keep_outside)
        await wait_until(lambda: anyio.to_thread.run_sync(has_witness, outside))
        group.cancel_scope.cancel()
    await bench.db.execute(sql("UPDATE installation SET beat = $1", "beat"), beat=beat)

    unseen = await Guard(SystemClock(), QUICK, copy).look(bench.db)
    seen = await Guard(SystemClock(), QUICK, copy, outside).look(bench.db)

    assert (unseen, seen) == (1, 2)
    assert await sending(bench.db) == ("held", "guard")


def has_witness(folder: Path) -> bool:
    return any(folder.glob("*.witness"))


def put_ahead(folder: Path) -> None:
    """Make the witness of a folder one of many more writes."""
    [path] = folder.iterdir()
    witness = msgspec.json.decode(path.read_bytes(), type=Witness)
    ahead = msgspec.structs.replace(witness, wal_bytes=witness.wal_bytes + 10**12)
    WitnessFile(folder).write(ahead)


async def test_a_file_copy_of_the_cluster_that_is_put_back_holds_sending(tmp_path: Path) -> None:
    top = open_folder()
    data, copy = top / "data", top / "copy"
    try:
        async with database_in(data) as settings:
            await migrations.upgrade(settings)
            async with open_database(settings) as database:
                await register_installation(database, SystemClock(), "live")
                await release(database)
        await anyio.run_process(["/bin/cp", "-a", str(data), str(copy)])
        async with database_in(data) as settings, open_database(settings) as database:
            guard = Guard(SystemClock(), QUICK, tmp_path)
            assert await guard.look(database) == 1
            clock, by = SystemClock(), lambda: None
            async with Heartbeat(settings, clock, guard, "toy", None, by).enter():
                pass
        await anyio.to_thread.run_sync(shutil.rmtree, data)
        copy.rename(data)

        async with database_in(data) as settings, open_database(settings) as database:
            assert await Guard(SystemClock(), QUICK, tmp_path).look(database) == 2
            assert await sending(database) == ("held", "guard")
    finally:
        await anyio.to_thread.run_sync(shutil.rmtree, top)


@asynccontextmanager
async def database_in(data: Path) -> AsyncIterator[DatabaseSettings]:
    async with embedded_postgres(data, SystemClock(), durable=False) as server:
        yield DatabaseSettings(url=server.url)


async def test_a_running_node_sees_that_its_database_was_turned_back(bench: EngineBench) -> None:
    await register_installation(bench.db, SystemClock(), "live")
    await release(bench.db)
    guard = Guard(SystemClock(), QUICK)
    beat = make_beat(bench, guard)

    async with beat.enter() as node:
        await bench.db.execute(sql("UPDATE installation SET beat = beat - 1"))
        with anyio.fail_after(5), pytest.raises(NodeEvicted):
            await beat.run(node)

    assert await sending(bench.db) == ("held", "guard")


async def test_pruned_events_are_not_taken_for_a_restore(
    bench: EngineBench, tmp_path: Path
) -> None:
    await register_installation(bench.db, SystemClock(), "live")
    await add_event(bench.db, 300)
    await enter_and_beat(bench, Guard(SystemClock(), QUICK, tmp_path))
    await bench.db.execute(
        sql(
            "WITH gone AS (DELETE FROM event RETURNING era, xid, id) UPDATE installation"
            " SET pruned_era = gone.era, pruned_xid = gone.xid, pruned_id = gone.id FROM gone"
        )
    )

    assert await Guard(SystemClock(), QUICK, tmp_path).look(bench.db) == 1


@pytest.mark.parametrize("ahead_seconds", [-60.0, 60.0])
async def test_a_node_whose_clock_is_wrong_does_not_start(
    bench: EngineBench, ahead_seconds: float
) -> None:
    await register_installation(bench.db, SystemClock(), "live")
    guard = Guard(ShiftedClock(ahead_seconds), QUICK)

    with pytest.raises(ClockWrong, match=r"60\.\d s (ahead|behind).*set the wrong one right"):
        async with make_beat(bench, guard).enter():
            pass


async def test_a_clock_that_goes_wrong_holds_sending_until_it_is_right_again(
    bench: EngineBench,
) -> None:
    await register_installation(bench.db, SystemClock(), "live")
    clock = ShiftedClock()
    guard = Guard(clock, Settings())
    async with make_beat(bench, guard).enter() as node:
        clock.ahead_seconds = -3600
        await guard.look(bench.db, node.era)
        held = await guard.find_obstacle(bench.db, node.era)
        clock.ahead_seconds = 1.0
        await guard.look(bench.db, node.era)

        assert "3600.0 s behind" in str(held)
        assert await guard.find_obstacle(bench.db, node.era) is None


async def test_what_is_past_is_past_by_both_clocks(bench: EngineBench) -> None:
    await register_installation(bench.db, SystemClock(), "live")
    clock = ShiftedClock(4.0)

    now = await Guard(clock, Settings()).agree_on_now(bench.db)

    assert now is not None
    assert 3.0 < (clock.now() - now).total_seconds() < 5.0
    assert await Guard(ShiftedClock(60.0), Settings()).agree_on_now(bench.db) is None
    assert await Guard(ShiftedClock(-60.0), Settings()).agree_on_now(bench.db) is None
