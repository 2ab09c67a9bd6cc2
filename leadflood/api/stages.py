"""Operators over HTTP: the actor tree, nodes, stages, providers, all switches."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import msgspec

from leadflood.api.edge import Caller, Node
from leadflood.api.route import Handler, Route
from leadflood.engine.actors.supervisor import Child, Health, Supervisor
from leadflood.engine.errors import Invalid, NotFound
from leadflood.engine.queue import control, store
from leadflood.engine.queue.control import SwitchState
from leadflood.engine.queue.line import LineStatus

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


class ProviderView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A provider on this node."""

    name: str
    is_configured: bool
    is_off: bool
    is_breaker_open: bool


class Why(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why something is switched, for the one who looks later."""

    reason: Reason = ""


class Scale(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many jobs of a stage each node has at work at once."""

    concurrency: Annotated[int, msgspec.Meta(ge=1, le=control.MOST_CONCURRENCY)]
    reason: Reason = ""


class Stages:
    """The routes of operators."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def routes(self) -> tuple[Route, ...]:
        """List the rows of the table."""
        return (
            _read("tree", self.tree),
            _read("nodes", self.nodes),
            _read("switches", self.switches),
            _read("stages", self.stages),
            _read("providers", self.providers),
            _write("PUT", "stages/{stage}/pause", self.pause),
            _write("DELETE", "stages/{stage}/pause", self.resume),
            _write("PUT", "stages/{stage}/concurrency", self.scale),
            _write("DELETE", "stages/{stage}/concurrency", self.unscale),
            _write("PUT", "providers/{provider}/stop", self.stop_provider),
            _write("DELETE", "providers/{provider}/stop", self.start_provider),
        )

    async def tree(self) -> ActorView:
        """Show everything that runs on this node, as it hangs together."""
        engine = self._node.engine
        lines = {status.stage: _stage_view(status) for status in engine.status()}
        top = engine.supervisor.as_child()
        top.health = Health.RUNNING
        return _show(top, lines)

    async def nodes(self) -> list[NodeView]:
        """List all nodes on this database."""
        ours = self._node.engine.node.id
        rows = await self._node.storage.db.fetch(store.SQL.list_nodes)
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
        rows = await store.find_switches(self._node.storage.db)
        return [
            _switch_view(SwitchState(name, row["state"], row["by_whom"], row["reason"]))
            for name, row in rows.items()
        ]

    async def stages(self) -> list[StageView]:
        """Show how each stage goes on this node."""
        return [_stage_view(status) for status in self._node.engine.status()]

    async def providers(self) -> list[ProviderView]:
        """Show which providers are configured, switched off or cut off by their breaker."""
        node = self._node
        return [
            ProviderView(
                name=name,
                is_configured=name in node.adapters,
                is_off=node.engine.control.is_off(name),
                is_breaker_open=node.gate.breaker(name).is_open,
            )
            for name in sorted(node.storage.settings.providers)
        ]

    async def pause(self, stage: str, body: Why, caller: Caller) -> StageView:
        """Pause a stage on all nodes; what is in hand is finished."""
        line, storage = self._line(stage), self._node.storage
        await control.pause_stage(storage.db, storage.clock, stage, caller.by, body.reason)
        return await self._after(line)

    async def resume(self, stage: str) -> StageView:
        """Let a stage go on; one that is not paused stays as it is."""
        line = self._line(stage)
        if line.stage in await self._paused():
            await control.resume_stage(self._node.storage.db, stage)
        return await self._after(line)

    async def scale(self, stage: str, body: Scale, caller: Caller) -> StageView:
        """Set how many jobs of a stage each node has at work at once."""
        line, storage = self._line(stage), self._node.storage
        await control.scale_stage(
            storage.db, storage.clock, stage, body.concurrency, caller.by, body.reason
        )
        return await self._after(line)

    async def unscale(self, stage: str) -> StageView:
        """Go back to the number in each node's settings."""
        line = self._line(stage)
        await control.unscale_stage(self._node.storage.db, stage)
        return await self._after(line)

    async def stop_provider(self, provider: str, body: Why, caller: Caller) -> ProviderView:
        """Ask a provider nothing any more, on all nodes."""
        storage = self._node.storage
        self._require_provider(provider)
        await control.switch_provider_off(
            storage.db, storage.clock, provider, caller.by, body.reason
        )
        return await self._provider(provider)

    async def start_provider(self, provider: str) -> ProviderView:
        """Let a provider be asked again."""
        self._require_provider(provider)
        await control.switch_provider_on(self._node.storage.db, provider)
        return await self._provider(provider)

    def _line(self, stage: str) -> LineStatus:
        known = {status.stage: status for status in self._node.engine.status()}
        if stage not in known:
            raise _unknown("stage", stage, list(known))
        return known[stage]

    def _require_provider(self, provider: str) -> None:
        known = self._node.storage.settings.providers
        if provider not in known:
            raise _unknown("provider", provider, sorted(known))

    async def _paused(self) -> set[str]:
        switches = await store.find_switches(self._node.storage.db)
        return {
            name.removeprefix(control.STAGE)
            for name, row in switches.items()
            if name.startswith(control.STAGE) and row["state"] == control.PAUSED
        }

    async def _after(self, line: LineStatus) -> StageView:
        await self._node.engine.control.look()
        return _stage_view(self._line(line.stage))

    async def _provider(self, provider: str) -> ProviderView:
        await self._node.engine.control.look()
        return next(one for one in await self.providers() if one.name == provider)


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


def _unknown(kind: str, name: str, known: Sequence[str]) -> NotFound:
    return NotFound(
        f"there is no {kind} {name!r}; known are {', '.join(known)}",
        code=f"engine.{kind}.not_found",
    )


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


def _stage_view(status: LineStatus) -> StageView:
    return msgspec.convert(status, StageView, from_attributes=True)


def _switch_view(state: SwitchState) -> SwitchView:
    return msgspec.convert(state, SwitchView, from_attributes=True)
