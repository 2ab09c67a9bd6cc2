"""Pause, scale and provider switches are rows: for all nodes, surviving restarts."""

import pytest
from leadflood.engine.errors import Invalid, NotFound
from leadflood.engine.queue import repository, switches
from tests.support.engine import MAKE, EngineBench, ThingRequested, list_jobs, list_toys, wait_until


async def test_a_pause_holds_on_all_nodes_and_records_who_and_why(bench: EngineBench) -> None:
    first, second = await bench.node(), await bench.node()

    await switches.pause_stage(bench.db, bench.clock, MAKE, "eve@example.com", "provider is down")
    for node in (first, second):
        await node.engine.switches.refresh()

    assert first.runner().is_paused
    assert second.runner().is_paused
    assert second.runner().status().state == "paused"
    switch = second.engine.switches.states[f"stage:{MAKE}"]
    assert (switch.by_whom, switch.reason) == ("eve@example.com", "provider is down")


async def test_a_pause_survives_a_restart_and_finishes_what_is_in_flight(
    bench: EngineBench,
) -> None:
    await switches.pause_stage(bench.db, bench.clock, MAKE, "eve", "look")
    async with bench.running() as engine:
        async with engine.publisher.transaction() as publication:
            await publication.publish([ThingRequested(1)])
        assert engine.runners[MAKE].is_paused
        assert [row["state"] for row in await list_jobs(bench.db)] == [0]

        await switches.resume_stage(bench.db, MAKE)

        async def is_done() -> bool:
            return await list_toys(bench.db) == [(1, "Done")]

        await wait_until(is_done, 3.0)


async def test_resuming_a_stage_that_is_not_paused_is_refused(bench: EngineBench) -> None:
    with pytest.raises(NotFound, match=r"toy\.make is not paused"):
        await switches.resume_stage(bench.db, MAKE)


async def test_a_scale_is_applied_and_taken_back(bench: EngineBench) -> None:
    node = await bench.node()

    await switches.scale_stage(bench.db, bench.clock, MAKE, 3, "eve", "slow down")
    await node.engine.switches.refresh()
    assert node.runner().status().concurrency == 3
    assert await switches.unscale_stage(bench.db, MAKE)
    await node.engine.switches.refresh()

    assert node.runner().status().concurrency == 8


@pytest.mark.parametrize("concurrency", [0, -1, 10_001])
async def test_a_scale_out_of_range_is_refused(bench: EngineBench, concurrency: int) -> None:
    with pytest.raises(Invalid, match="to stop a stage, pause it"):
        await switches.scale_stage(bench.db, bench.clock, MAKE, concurrency, "eve", "oops")


async def test_a_provider_that_is_switched_off_is_off_on_all_nodes(bench: EngineBench) -> None:
    node = await bench.node()

    await switches.switch_provider_off(bench.db, bench.clock, "hunter", "eve", "bad data")
    await node.engine.switches.refresh()
    assert node.engine.switches.is_off("hunter")
    assert not node.engine.switches.is_off("apollo")
    await switches.switch_provider_on(bench.db, "hunter")
    await node.engine.switches.refresh()

    assert not node.engine.switches.is_off("hunter")


async def test_a_switch_keeps_the_last_word(bench: EngineBench) -> None:
    for state in ("held", "released", "held"):
        await repository.write_switch(bench.db, "sending", state, "eve", state, bench.clock.now())

    assert (await repository.find_switches(bench.db))["sending"]["state"] == "held"
