"""Operators over HTTP: the actor tree, nodes, stages, all switches."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Literal

import anyio
import msgspec

from leadflood.api.http.request_context import Caller
from leadflood.api.http.responses import HtmlPage
from leadflood.api.http.routing import Handler, Route
from leadflood.api.http.unit_of_work import UnitOfWork, run_once
from leadflood.api.services import Node
from leadflood.domain.audit.schemas import AuditEntry
from leadflood.engine.actors.supervisor import Child, Health, Supervisor
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.errors import Invalid, NotFound
from leadflood.engine.queue import repository, switches
from leadflood.engine.queue.stage_runner import StageStatus
from leadflood.engine.queue.switches import SwitchState

LOOK_SECONDS = 0.1
MOST_WAIT_SECONDS = 20.0
DrainState = Literal["draining", "drained", "running"]
Reason = Annotated[str, msgspec.Meta(max_length=500)]


class ActorView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One actor with those below it; `optional` ones are parked when they keep failing."""

    name: str
    health: Health
    restarts: int
    last_error: str
    optional: bool
    stage: "StageView | None"
    children: tuple["ActorView", ...]


class StageView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A stage on this node; `stallReason` null: it can commit."""

    stage: str
    state: str
    channel: int
    capacity: int
    in_flight: int
    concurrency: int
    completed: int
    failed: int
    postponed: int
    per_second: float
    last_error: str
    stall_reason: str | None


class NodeView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A node's row; `isThis`: the one that answers."""

    id: int
    name: str
    started_at: datetime
    last_beat_at: datetime
    is_this: bool


class SwitchView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A switch that stands otherwise than by default, with who and why."""

    name: str
    state: str
    by_whom: str
    reason: str


class DrainView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How far a drain is: `inHand` jobs are still at work, on all nodes together.

    `state` is `drained` when the stage is paused and none is, `draining` while some are, and
    `running` when nobody paused it.
    """

    stage: str
    state: DrainState
    in_hand: int


class Why(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why something is switched, for the one who looks later."""

    reason: Reason = ""


class Scale(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many jobs of a stage each node has at work at once."""

    concurrency: Annotated[int, msgspec.Meta(ge=1, le=switches.MAX_CONCURRENCY)]
    reason: Reason = ""


class Drain(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Why, and how long the answer may wait for the stage to be empty."""

    reason: Reason = ""
    wait_seconds: Annotated[float, msgspec.Meta(ge=0, le=MOST_WAIT_SECONDS)] = 10.0


class Stages:
    """The routes of stages, nodes and switches."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def routes(self) -> tuple[Route, ...]:
        """List the rows of the table."""
        return (
            _read("tree", self.tree),
            _read("nodes", self.nodes),
            _read("switches", self.switches),
            _read("stages", self.stages),
            _write("PUT", "stages/{stage}/pause", self.pause),
            _write("DELETE", "stages/{stage}/pause", self.resume),
            Route(
                method="PUT", path="/v1/admin/stages/{stage}/drain", handler=self.drain,
                permission="admin:write", errors=(NotFound, Invalid), shows=DrainView,
                also=(HTTPStatus.ACCEPTED,),
            ),
            Route(
                method="GET", path="/v1/admin/stages/{stage}/drain", handler=self.drain_state,
                permission="admin:read", errors=(NotFound,),
            ),
            _write("DELETE", "stages/{stage}/drain", self.resume),
            _write("PUT", "stages/{stage}/concurrency", self.scale),
            _write("DELETE", "stages/{stage}/concurrency", self.unscale),
        )  # fmt: skip

    async def tree(self) -> ActorView:
        """Show everything that runs on this node, as it hangs together."""
        engine = self._node.services.engine
        lines = {status.stage: _stage_view(status) for status in engine.status()}
        top = engine.supervisor.as_child()
        top.health = Health.RUNNING
        return _show(top, lines)

    async def nodes(self) -> list[NodeView]:
        """List all nodes on this database."""
        ours = self._node.services.engine.node.id
        rows = await self._node.services.db.fetch(repository.SQL.list_nodes)
        return [
            NodeView(
                id=row["id"],
                name=row["name"],
                started_at=row["started_at"],
                last_beat_at=row["last_beat_at"],
                is_this=row["id"] == ours,
            )
            for row in rows
        ]

    async def switches(self) -> list[SwitchView]:
        """List what operators have switched."""
        rows = await repository.find_switches(self._node.services.db)
        return [
            _switch_view(SwitchState(name, row["state"], row["by_whom"], row["reason"]))
            for name, row in rows.items()
        ]

    async def stages(self) -> list[StageView]:
        """Show how each stage goes on this node."""
        return [_stage_view(status) for status in self._node.services.engine.status()]

    async def pause(self, stage: str, body: Why, caller: Caller) -> StageView:
        """Pause a stage on all nodes; what is in hand is finished."""
        line = self._line(stage)
        await self._pause(stage, body.reason, caller, "stage.paused")
        return await self._after(line)

    async def resume(self, stage: str, caller: Caller) -> StageView:
        """Let a stage go on; one that is not paused stays as it is."""
        line = self._line(stage)

        async def do(uow: UnitOfWork) -> None:
            if await switches.is_paused(uow.tx, stage):
                await switches.resume_stage(uow.tx, stage)
                await uow.record(_entry("stage.resumed", stage))

        await run_once(self._node.services, caller, type(None), do)
        return await self._after(line)

    async def drain(self, stage: str, body: Drain, caller: Caller) -> HtmlPage:
        """Pause a stage and wait until nothing of it is in hand; 202: some still is, ask again."""
        self._line(stage)
        await self._pause(stage, body.reason, caller, "stage.drained")
        await self._node.services.engine.switches.refresh()
        with anyio.move_on_after(body.wait_seconds):
            while await switches.count_in_flight(self._node.services.db, stage):
                await REAL_TIME.sleep(LOOK_SECONDS)
        told = await self.drain_state(stage)
        status = HTTPStatus.ACCEPTED if told.in_hand else HTTPStatus.OK
        return HtmlPage(
            body=msgspec.json.encode(told), content_type="application/json", status=status.value
        )

    async def drain_state(self, stage: str) -> DrainView:
        """Tell how far a drain is."""
        self._line(stage)
        db = self._node.services.db
        in_hand = await switches.count_in_flight(db, stage)
        state: DrainState = "draining" if in_hand else "drained"
        if not await switches.is_paused(db, stage):
            state = "running"
        return DrainView(stage=stage, state=state, in_hand=in_hand)

    async def scale(self, stage: str, body: Scale, caller: Caller) -> StageView:
        """Set how many jobs of a stage each node has at work at once."""
        line, services = self._line(stage), self._node.services

        async def do(uow: UnitOfWork) -> None:
            await switches.scale_stage(
                uow.tx, services.clock, stage, body.concurrency, caller.by, body.reason
            )
            detail = {"concurrency": body.concurrency, "reason": body.reason}
            await uow.record(_entry("stage.scaled", stage, detail))

        await run_once(self._node.services, caller, type(None), do)
        return await self._after(line)

    async def unscale(self, stage: str, caller: Caller) -> StageView:
        """Go back to the number in each node's settings."""
        line = self._line(stage)

        async def do(uow: UnitOfWork) -> None:
            if await switches.unscale_stage(uow.tx, stage):
                await uow.record(_entry("stage.unscaled", stage))

        await run_once(self._node.services, caller, type(None), do)
        return await self._after(line)

    async def _pause(self, stage: str, reason: str, caller: Caller, action: str) -> None:
        clock = self._node.services.clock

        async def do(uow: UnitOfWork) -> None:
            await switches.pause_stage(uow.tx, clock, stage, caller.by, reason)
            await uow.record(_entry(action, stage, {"reason": reason}))

        await run_once(self._node.services, caller, type(None), do)

    def _line(self, stage: str) -> StageStatus:
        known = {status.stage: status for status in self._node.services.engine.status()}
        if stage not in known:
            raise unknown("stage", stage, list(known))
        return known[stage]

    async def _after(self, line: StageStatus) -> StageView:
        await self._node.services.engine.switches.refresh()
        return _stage_view(self._line(line.stage))


def _read(path: str, handler: Handler) -> Route:
    return Route(method="GET", path=f"/v1/admin/{path}", handler=handler, permission="admin:read")


def _write(method: str, path: str, handler: Handler) -> Route:
    return Route(
        method=method,
        path=f"/v1/admin/{path}",
        handler=handler,
        permission="admin:write",
        errors=(NotFound, Invalid),
    )


def unknown(kind: str, name: str, known: Sequence[str]) -> NotFound:
    """Say that a name is none of those that exist."""
    return NotFound(
        f"there is no {kind} {name!r}; known are {', '.join(known)}",
        code=f"engine.{kind}.not_found",
    )


def _entry(action: str, stage: str, detail: Mapping[str, object] | None = None) -> AuditEntry:
    return AuditEntry(action=action, subject_kind="stage", subject_id=stage, detail=detail or {})


def _show(child: Child, lines: dict[str, StageView]) -> ActorView:
    below: Supervisor | None = child.supervisor
    children = below.children if below is not None else []
    return ActorView(
        name=child.name,
        health=child.health,
        restarts=child.restarts,
        last_error=child.last_error,
        optional=child.optional,
        stage=lines.get(child.name.removeprefix("stage ")) if below is not None else None,
        children=tuple([_show(one, lines) for one in children]),
    )


def _stage_view(status: StageStatus) -> StageView:
    return msgspec.convert(status, StageView, from_attributes=True)


def _switch_view(state: SwitchState) -> SwitchView:
    return msgspec.convert(state, SwitchView, from_attributes=True)
