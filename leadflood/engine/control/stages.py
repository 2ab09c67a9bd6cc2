"""Control of stages: the actor tree, the nodes, and what operators switch on all of them."""

import anyio
import msgspec

from leadflood.engine.actors.supervisor import Child, Health
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.control.names import unknown_name
from leadflood.engine.control.schemas import (
    ActorView,
    DrainState,
    DrainView,
    NodeView,
    StageView,
    SwitchView,
)
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.queue import repository, switches
from leadflood.engine.queue.switches import SwitchState
from leadflood.engine.runtime import Engine

POLL_SECONDS = 0.1


class StageControl:
    """Shows and switches the stages. Switches hold for all nodes; the rest is this node's."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._db = engine.parts.db
        self._clock = engine.parts.clock

    def show_tree(self) -> ActorView:
        """Return everything that runs on this node, as it hangs together."""
        stages = {stage.stage: stage for stage in self.list_all()}
        root = self._engine.supervisor.as_child()
        root.health = Health.RUNNING
        return _show_actor(root, stages)

    async def list_nodes(self) -> list[NodeView]:
        """List all nodes on this database."""
        this_id = self._engine.node.id
        return [
            NodeView(
                id=row["id"],
                name=row["name"],
                started_at=row["started_at"],
                last_beat_at=row["last_beat_at"],
                is_this=row["id"] == this_id,
            )
            for row in await repository.list_nodes(self._db)
        ]

    async def list_switches(self) -> list[SwitchView]:
        """List what operators have switched."""
        states = await switches.list_states(self._db)
        return [_show_switch(state) for state in states]

    def list_all(self) -> list[StageView]:
        """Return the status of each stage on this node."""
        return msgspec.convert(self._engine.status(), list[StageView], from_attributes=True)

    def get(self, stage: str) -> StageView:
        """Return the status of a stage on this node. Raises: NotFound."""
        stages = {view.stage: view for view in self.list_all()}
        if stage not in stages:
            raise unknown_name("stage", stage, list(stages))
        return stages[stage]

    async def get_refreshed(self, stage: str) -> StageView:
        """Put committed switches in force on this node; return a stage's status after that."""
        await self._engine.switches.refresh()
        return self.get(stage)

    async def pause(self, tx: Tx, stage: str, by_whom: str, reason: str) -> None:
        """Pause a stage on all nodes; what is in flight is finished. Raises: NotFound."""
        self.get(stage)
        await switches.pause_stage(tx, self._clock, stage, by_whom, reason)

    async def resume(self, tx: Tx, stage: str) -> bool:
        """Resume a stage; False: it was not paused. Raises: NotFound."""
        self.get(stage)
        is_paused = await switches.is_paused(tx, stage)
        if is_paused:
            await switches.resume_stage(tx, stage)
        return is_paused

    async def scale(self, tx: Tx, stage: str, concurrency: int, by_whom: str, reason: str) -> None:
        """Set how many jobs of a stage each node has at work at once. Raises: NotFound, Invalid."""
        self.get(stage)
        switches.require_scalable(stage, in_batches=self._engine.runners[stage].stage.in_batches)
        await switches.scale_stage(tx, self._clock, stage, concurrency, by_whom, reason)

    async def unscale(self, tx: Tx, stage: str) -> bool:
        """Go back to the number in each node's settings; False: it was so. Raises: NotFound."""
        self.get(stage)
        return await switches.unscale_stage(tx, stage)

    async def get_drain(self, stage: str) -> DrainView:
        """Return how far a drain is. Raises: NotFound."""
        self.get(stage)
        return await _read_drain(self._db, stage)

    async def wait_until_drained(self, stage: str, seconds: float) -> DrainView:
        """Wait until nothing of a paused stage is in flight, so long at most; return how far it is.

        Raises: NotFound.
        """
        await self.get_refreshed(stage)
        with anyio.move_on_after(seconds):
            while await switches.count_in_flight(self._db, stage):
                await REAL_TIME.sleep(POLL_SECONDS)
        return await self.get_drain(stage)


async def _read_drain(db: Reader, stage: str) -> DrainView:
    in_flight = await switches.count_in_flight(db, stage)
    state: DrainState = "draining" if in_flight else "drained"
    if not await switches.is_paused(db, stage):
        state = "running"
    return DrainView(stage=stage, state=state, in_hand=in_flight)


def _show_actor(child: Child, stages: dict[str, StageView]) -> ActorView:
    supervisor = child.supervisor
    children = () if supervisor is None else supervisor.children
    return ActorView(
        name=child.name,
        health=child.health,
        restarts=child.restarts,
        last_error=child.last_error,
        optional=child.optional,
        stage=None if supervisor is None else stages.get(child.name.removeprefix("stage ")),
        children=tuple([_show_actor(actor, stages) for actor in children]),
    )


def _show_switch(state: SwitchState) -> SwitchView:
    return msgspec.convert(state, SwitchView, from_attributes=True)
