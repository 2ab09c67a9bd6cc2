"""Nodes that live, die and are buried; who the database is."""

import asyncio
from pathlib import Path
from typing import Any

import anyio
import pytest
from leadflood.engine.clock import SystemClock
from leadflood.engine.db.filelock import FileLock
from leadflood.engine.queue.guard import Guard, Settings, register_installation
from leadflood.engine.queue.heartbeat import Heartbeat, LockFile, NodeEvicted, list_dead_locks
from leadflood.engine.queue.repository import SQL
from tests.support.engine import EngineBench, list_node_ids, wait_until
from tests.support.statements import sql

QUICK = Settings(beat_seconds=0.02, dead_after_seconds=0.3)


def make_beat(bench: EngineBench, folder: Path | None = None, **over: Any) -> Heartbeat:
    clock, settings = SystemClock(), over.pop("settings", QUICK)
    guard = over.pop("guard", None) or Guard(clock, settings)
    return Heartbeat(bench.settings, clock, guard, "toy", folder, lambda: None)


async def test_a_node_has_a_new_id_at_each_start_and_closes_its_row(bench: EngineBench) -> None:
    await register_installation(bench.db, SystemClock(), "live")

    async with make_beat(bench).enter() as first:
        assert await list_node_ids(bench.db) == [first.id]
    async with make_beat(bench).enter() as second:
        assert await list_node_ids(bench.db) == [second.id]

    assert second.id > first.id
    assert not await list_node_ids(bench.db)


async def test_a_node_raises_its_counter(bench: EngineBench) -> None:
    await register_installation(bench.db, SystemClock(), "live")
    beat = make_beat(bench)

    async def has_beaten() -> bool:
        return bool(await bench.db.fetch_value(sql("SELECT beat >= 3 FROM node")))

    async with beat.enter() as node, anyio.create_task_group() as group:
        group.start_soon(beat.run, node)
        await wait_until(has_beaten)
        group.cancel_scope.cancel()


async def test_a_node_whose_counter_stands_still_is_evicted_by_another(bench: EngineBench) -> None:
    await register_installation(bench.db, SystemClock(), "live")
    silent = make_beat(bench)
    living = make_beat(bench)

    async def is_buried() -> bool:
        return dead.id not in await list_node_ids(bench.db)

    async with silent.enter() as dead, living.enter() as node, anyio.create_task_group() as group:
        group.start_soon(living.run, node)
        await wait_until(lambda: node.has_peers)
        await wait_until(is_buried)
        group.cancel_scope.cancel()

    assert await bench.db.fetch_value(sql("SELECT last_beat_at IS NOT NULL FROM installation"))


async def test_a_dead_node_that_still_locks_its_row_does_not_stop_other_heartbeats(
    bench: EngineBench,
) -> None:
    await register_installation(bench.db, SystemClock(), "live")
    silent, living = make_beat(bench), make_beat(bench)
    beats = sql("SELECT beat FROM node WHERE id = $1", "id")

    async with silent.enter() as dead, living.enter() as node, anyio.create_task_group() as group:
        async with bench.db.transaction() as stopped:
            await stopped.fetch(
                sql("SELECT FROM node WHERE id = $1 FOR KEY SHARE", "id"), id=dead.id
            )
            group.start_soon(living.run, node)
            with anyio.move_on_after(2 * QUICK.dead_after_seconds):
                await anyio.sleep_forever()
            before = await bench.db.fetch_value(beats, id=node.id)
            await wait_until(lambda: _is_above(bench, node.id, before))
            assert dead.id in await list_node_ids(bench.db)

        await wait_until(lambda: _is_gone(bench, dead.id))
        group.cancel_scope.cancel()


async def _is_above(bench: EngineBench, node_id: int, beat: int) -> bool:
    query = sql("SELECT beat > $2 FROM node WHERE id = $1", "id", "beat")
    return bool(await bench.db.fetch_value(query, id=node_id, beat=beat))


async def _is_gone(bench: EngineBench, node_id: int) -> bool:
    return node_id not in await list_node_ids(bench.db)


async def test_a_counter_that_moves_keeps_a_node_alive(bench: EngineBench) -> None:
    await register_installation(bench.db, SystemClock(), "live")
    one, other = make_beat(bench), make_beat(bench)

    async with one.enter() as first, other.enter() as second:
        async with anyio.create_task_group() as group:
            group.start_soon(one.run, first)
            group.start_soon(other.run, second)
            with anyio.move_on_after(0.8):
                await anyio.sleep_forever()
            group.cancel_scope.cancel()

        assert await list_node_ids(bench.db) == [first.id, second.id]


async def test_a_node_that_beats_just_before_its_eviction_lives_on(bench: EngineBench) -> None:
    await register_installation(bench.db, SystemClock(), "live")

    async with make_beat(bench).enter() as node:
        [row] = await bench.db.fetch(SQL.list_nodes)
        await bench.db.execute(sql("UPDATE node SET beat = beat + 1"))

        assert not await bench.db.fetch(SQL.evict_node, id=node.id, beat=row["beat"])
        assert await list_node_ids(bench.db) == [node.id]


async def test_an_evicted_node_learns_it_at_its_next_heartbeat(bench: EngineBench) -> None:
    await register_installation(bench.db, SystemClock(), "live")
    beat = make_beat(bench)

    async with beat.enter() as node:
        await bench.db.execute(sql("DELETE FROM node"))
        with pytest.raises(NodeEvicted):
            await beat.run(node)


async def test_a_lost_connection_alone_changes_nothing(bench: EngineBench) -> None:
    await register_installation(bench.db, SystemClock(), "live")
    beat = make_beat(bench)

    async def beats_at_least(count: int) -> bool:
        return bool(await bench.db.fetch_value(sql("SELECT beat >= $1 FROM node", "n"), n=count))

    async with beat.enter() as node, anyio.create_task_group() as group:
        group.start_soon(beat.run, node)
        await wait_until(lambda: beats_at_least(2))
        before = await bench.db.fetch_value(sql("SELECT beat FROM node"))
        await bench.db.execute(
            sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
        await wait_until(lambda: beats_at_least(before + 3))
        assert await list_node_ids(bench.db) == [node.id]
        group.cancel_scope.cancel()


async def test_a_starting_process_evicts_at_once_the_node_whose_lock_file_is_free(
    bench: EngineBench, tmp_path: Path
) -> None:
    await register_installation(bench.db, SystemClock(), "live")
    folder = tmp_path / "nodes"
    lock = await asyncio.to_thread(LockFile, folder)
    await bench.db.execute(
        sql(
            "INSERT INTO node (name, lock_path, started_at, last_beat_at) "
            "VALUES ('dead', $1, now(), now())",
            "path",
        ),
        path=str(lock.path),
    )
    lock._lock.close()  # as the kernel does for a killed process

    async with make_beat(bench, folder).enter() as node:
        assert await list_node_ids(bench.db) == [node.id]


def test_a_lock_file_that_a_living_process_holds_is_left_alone(tmp_path: Path) -> None:
    lock = LockFile(tmp_path)

    assert not list_dead_locks(tmp_path)
    lock.close()

    assert not list(tmp_path.iterdir())


def test_who_looks_while_a_lock_file_is_made_does_not_take_its_process_for_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead: list[str] = []
    try_alone = FileLock.try_alone

    def look_first(lock: FileLock) -> bool:
        monkeypatch.setattr(FileLock, "try_alone", try_alone)
        dead.extend(list_dead_locks(tmp_path))
        return try_alone(lock)

    monkeypatch.setattr(FileLock, "try_alone", look_first)
    lock = LockFile(tmp_path)

    assert not dead
    assert not list_dead_locks(tmp_path)
    lock.close()
