import anyio
import pytest
from leadflood.engine.control.stages import StageControl
from leadflood.engine.errors import NotFound
from leadflood.engine.queue.outcome import Done, Outcome
from tests.support.engine import MAKE, EngineBench, MakeStage, ThingRequested, UseStage, wait_until


async def test_a_paused_stage_is_shown_paused_once_that_is_committed(bench: EngineBench) -> None:
    async with bench.running() as engine:
        stages = StageControl(engine)
        async with bench.db.transaction() as tx:
            await stages.pause(tx, MAKE, "user:eve", "provider is down")
        paused = await stages.get_refreshed(MAKE)
        switches = {switch.name: switch for switch in await stages.list_switches()}
        async with bench.db.transaction() as tx:
            was_paused = await stages.resume(tx, MAKE)
            is_paused = await stages.resume(tx, MAKE)

        assert paused.state == "paused"
        switch = switches[f"stage:{MAKE}"]
        assert (switch.by_whom, switch.reason) == ("user:eve", "provider is down")
        assert (was_paused, is_paused) == (True, False)
        assert (await stages.get_refreshed(MAKE)).state == "running"


async def test_a_stage_that_does_not_exist_is_answered_with_those_that_do(
    bench: EngineBench,
) -> None:
    async with bench.running() as engine:
        stages = StageControl(engine)

        with pytest.raises(
            NotFound, match=r"no stage 'toy.none'; known are .*toy\.make"
        ) as refused:
            await stages.get_drain("toy.none")

    assert refused.value.error_code == "engine.stage.not_found"


async def test_a_drain_waits_for_what_is_in_flight_and_no_longer_than_it_may(
    bench: EngineBench,
) -> None:
    may_end = anyio.Event()

    async def wait(item: object) -> Outcome[object]:
        await may_end.wait()
        return Done(item)

    async with bench.running(MakeStage(do=wait), UseStage()) as engine:
        stages = StageControl(engine)
        async with engine.publisher.transaction() as publication:
            await publication.publish([ThingRequested(1)])

        async def is_at_work() -> bool:
            return stages.get(MAKE).in_flight == 1

        await wait_until(is_at_work, 3.0)
        async with bench.db.transaction() as tx:
            await stages.pause(tx, MAKE, "user:eve", "look")
        draining = await stages.wait_until_drained(MAKE, 0.05)
        may_end.set()
        drained = await stages.wait_until_drained(MAKE, 5.0)

    assert (draining.state, draining.in_hand) == ("draining", 1)
    assert (drained.state, drained.in_hand) == ("drained", 0)


async def test_the_tree_shows_each_stage_with_its_actors(bench: EngineBench) -> None:
    async with bench.running() as engine:
        tree = StageControl(engine).show_tree()
        [node] = await StageControl(engine).list_nodes()

    stage = next(child for child in tree.children if child.name == f"stage {MAKE}")
    assert stage.stage is not None
    assert stage.stage.stage == MAKE
    assert {actor.name for actor in stage.children} >= {f"{MAKE} fetcher", f"{MAKE} committer"}
    assert node.is_this
