"""Operators over HTTP: the actor tree, nodes, stages, all switches."""

from http import HTTPStatus
from typing import Annotated

import msgspec

from leadflood.api.http.request_context import Caller
from leadflood.api.http.responses import RawResponse, json_response
from leadflood.api.http.routing import delete, get, put
from leadflood.api.http.unit_of_work import LateUnitOfWork
from leadflood.api.services import Services
from leadflood.engine.control.schemas import (
    ActorView,
    DrainView,
    NodeView,
    Reason,
    StageView,
    SwitchView,
)
from leadflood.engine.errors import Invalid, NotFound
from leadflood.engine.queue.switches import MAX_CONCURRENCY

MOST_WAIT_SECONDS = 20.0


class Why(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why something is switched, for the one who looks later."""

    reason: Reason = ""


class Scale(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many jobs of a stage each node has at work at once."""

    concurrency: Annotated[int, msgspec.Meta(ge=1, le=MAX_CONCURRENCY)]
    reason: Reason = ""


class Drain(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Why, and how long the answer may wait for the stage to be empty."""

    reason: Reason = ""
    wait_seconds: Annotated[float, msgspec.Meta(ge=0, le=MOST_WAIT_SECONDS)] = 10.0


@get("/v1/admin/tree", permission="admin:read")
async def show_tree(services: Services) -> ActorView:
    """Show everything that runs on this node, as it hangs together."""
    return services.control.stages.show_tree()


@get("/v1/admin/nodes", permission="admin:read")
async def list_nodes(services: Services) -> list[NodeView]:
    """List all nodes on this database."""
    return await services.control.stages.list_nodes()


@get("/v1/admin/switches", permission="admin:read")
async def list_switches(services: Services) -> list[SwitchView]:
    """List what operators have switched."""
    return await services.control.stages.list_switches()


@get("/v1/admin/stages", permission="admin:read")
async def list_stages(services: Services) -> list[StageView]:
    """Show how each stage goes on this node."""
    return services.control.stages.list_all()


@put("/v1/admin/stages/{stage}/pause", permission="admin:write", errors=(NotFound, Invalid))
async def pause_stage(
    stage: str, body: Why, caller: Caller, services: Services, late_uow: LateUnitOfWork[None]
) -> StageView:
    """Pause a stage on all nodes; what is in hand is finished."""
    stages = services.control.stages
    async with late_uow.open() as uow:
        await stages.pause(uow.tx, stage, caller.by, body.reason)
        await uow.audit("stage.paused", stage, reason=body.reason)
    return await stages.get_refreshed(stage)


@delete("/v1/admin/stages/{stage}/pause", permission="admin:write", errors=(NotFound, Invalid))
async def resume_stage(stage: str, services: Services, late_uow: LateUnitOfWork[None]) -> StageView:
    """Resume a stage; one that is not paused stays as it is."""
    return await _resume_stage(stage, services, late_uow)


@put(
    "/v1/admin/stages/{stage}/drain",
    permission="admin:write",
    errors=(NotFound, Invalid),
    shows=DrainView,
    also=(HTTPStatus.ACCEPTED,),
)
async def drain_stage(
    stage: str, body: Drain, caller: Caller, services: Services, late_uow: LateUnitOfWork[None]
) -> RawResponse:
    """Pause a stage and wait until nothing of it is in hand; 202: some still is, ask again."""
    stages = services.control.stages
    async with late_uow.open() as uow:
        await stages.pause(uow.tx, stage, caller.by, body.reason)
        await uow.audit("stage.drained", stage, reason=body.reason)
    drain = await stages.wait_until_drained(stage, body.wait_seconds)
    return json_response(drain, HTTPStatus.ACCEPTED if drain.in_hand else HTTPStatus.OK)


@get("/v1/admin/stages/{stage}/drain", permission="admin:read", errors=(NotFound,))
async def get_drain(stage: str, services: Services) -> DrainView:
    """Show how far a drain is."""
    return await services.control.stages.get_drain(stage)


@delete("/v1/admin/stages/{stage}/drain", permission="admin:write", errors=(NotFound, Invalid))
async def end_drain(stage: str, services: Services, late_uow: LateUnitOfWork[None]) -> StageView:
    """Resume a stage; one that is not paused stays as it is."""
    return await _resume_stage(stage, services, late_uow)


@put("/v1/admin/stages/{stage}/concurrency", permission="admin:write", errors=(NotFound, Invalid))
async def scale_stage(
    stage: str, body: Scale, caller: Caller, services: Services, late_uow: LateUnitOfWork[None]
) -> StageView:
    """Set how many jobs of a stage each node has at work at once."""
    stages, concurrency = services.control.stages, body.concurrency
    async with late_uow.open() as uow:
        await stages.scale(uow.tx, stage, concurrency, caller.by, body.reason)
        await uow.audit("stage.scaled", stage, concurrency=concurrency, reason=body.reason)
    return await stages.get_refreshed(stage)


@delete(
    "/v1/admin/stages/{stage}/concurrency", permission="admin:write", errors=(NotFound, Invalid)
)
async def unscale_stage(
    stage: str, services: Services, late_uow: LateUnitOfWork[None]
) -> StageView:
    """Go back to the number in each node's settings."""
    stages = services.control.stages
    async with late_uow.open() as uow:
        if await stages.unscale(uow.tx, stage):
            await uow.audit("stage.unscaled", stage)
    return await stages.get_refreshed(stage)


async def _resume_stage(
    stage: str, services: Services, late_uow: LateUnitOfWork[None]
) -> StageView:
    stages = services.control.stages
    async with late_uow.open() as uow:
        if await stages.resume(uow.tx, stage):
            await uow.audit("stage.resumed", stage)
    return await stages.get_refreshed(stage)
