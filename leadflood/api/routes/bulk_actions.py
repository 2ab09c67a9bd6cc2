"""One uow for many leads over HTTP: look ahead, begin, watch, stop, undo."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.api.http.request_context import Caller
from leadflood.api.http.responses import HtmlPage
from leadflood.api.http.routing import Route
from leadflood.api.http.unit_of_work import UnitOfWork, run_once
from leadflood.api.routes.lead_actions import TagText
from leadflood.api.routes.lead_list import LeadFilterQuery
from leadflood.api.routes.leads import Cap, Providers
from leadflood.api.services import Node
from leadflood.contracts.normalization import normalize_tag
from leadflood.contracts.values import SendsPolicy
from leadflood.domain.audit.schemas import AuditEntry
from leadflood.domain.auth.schemas import Permission
from leadflood.domain.bulk.schemas import (
    MOST_LEADS,
    BulkView,
    Money,
    NewBulk,
    Parameters,
    Preview,
    Verb,
)
from leadflood.domain.bulk.service import Begun, BulkService
from leadflood.engine.errors import Conflict, Denied, FieldProblem, Invalid, NotFound

_DELETING = frozenset({Verb.DELETE, Verb.RESTORE})
_TAGGING = frozenset({Verb.TAG, Verb.UNTAG})
_WORKING = frozenset({Verb.ENRICH, Verb.SCORE})
_NEEDS: dict[str, frozenset[Verb]] = {
    "owner_id": frozenset({Verb.ASSIGN}),
    "tag": _TAGGING,
    "icp_id": _WORKING,
    "sends": frozenset({Verb.ENRICH}),
    "providers": frozenset({Verb.ENRICH}),
    "cap_micros": frozenset({Verb.ENRICH}),
    "force": frozenset({Verb.ENRICH}),
}
"""Which actions know a parameter."""


class BulkBody(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """What to do to which leads: those named by `ids`, or all that fit `filter` (one of both).

    `ownerId` goes with assign (null: nobody), `tag` with tag and untag, `icpId` with enrich and
    score (null: the newest ICP), `sends`, `providers`, `capMicros` and `force` with enrich as for
    one lead. `preview`: tell what would happen, change nothing. `expectedCount`: begin only if so
    many leads are meant.
    """

    action: Verb
    ids: Annotated[tuple[UUID, ...], msgspec.Meta(min_length=1, max_length=10_000)] | None = None
    filter: LeadFilterQuery | None = None
    owner_id: UUID | msgspec.UnsetType | None = msgspec.UNSET
    tag: TagText | msgspec.UnsetType = msgspec.UNSET
    icp_id: UUID | msgspec.UnsetType | None = msgspec.UNSET
    sends: SendsPolicy | msgspec.UnsetType = msgspec.UNSET
    providers: Providers | msgspec.UnsetType | None = msgspec.UNSET
    cap_micros: Cap | msgspec.UnsetType | None = msgspec.UNSET
    force: bool | msgspec.UnsetType = msgspec.UNSET
    preview: bool = False
    expected_count: Annotated[int, msgspec.Meta(ge=0, le=MOST_LEADS)] | None = None


class BulkAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A bulk action has begun: `runId` names it, `jobId` is its first chunk.

    Both null for a preview, which tells what would happen; `preview` null: it has begun.
    """

    count: int
    run_id: UUID | None = None
    job_id: UUID | None = None
    preview: Preview | None = None


class Bulk:
    """The routes of bulk actions."""

    def __init__(self, node: Node) -> None:
        self._node = node

    @property
    def _bulk(self) -> BulkService:
        return BulkService(self._node.services.ids, self._node.services.clock)

    def routes(self) -> tuple[Route, ...]:
        """List the rows of the table."""
        one = "/v1/bulk/{runId}"
        return (
            Route(
                method="POST", path="/v1/leads/bulk", handler=self.begin,
                permission="leads:write", status=HTTPStatus.ACCEPTED, shows=BulkAnswer,
                also=(HTTPStatus.OK,), errors=(Invalid, NotFound, Conflict, Denied),
            ),
            Route(
                method="GET", path=one, handler=self.get, permission="leads:read",
                errors=(NotFound,),
            ),
            Route(
                method="PUT", path=f"{one}/cancellation", handler=self.cancel,
                permission="leads:write", errors=(NotFound,),
            ),
            Route(
                method="POST", path=f"{one}/undo", handler=self.undo, permission="leads:write",
                status=HTTPStatus.ACCEPTED, errors=(NotFound, Conflict, Denied),
            ),
        )  # fmt: skip

    async def begin(self, body: BulkBody, caller: Caller) -> HtmlPage:
        """Delete, restore, assign, tag, untag, enrich or score many leads; or preview that."""
        _require_permission(body.action, caller)
        _require_sound(body)
        new = msgspec.structs.replace(
            await self._order(body, caller), lead_ids=await self._choose(body, caller)
        )
        if body.preview:
            told = await self._bulk.preview(self._node.services.db, new)
            return _page(BulkAnswer(count=told.count, preview=told), HTTPStatus.OK)

        async def do(uow: UnitOfWork) -> BulkAnswer:
            _require_count(body, len(new.lead_ids))
            begun = await self._bulk.begin(uow.tx, new)
            return await self._publish(uow, begun, "bulk.begun", _told(new, begun.count))

        return _page(
            await run_once(self._node.services, caller, BulkAnswer, do), HTTPStatus.ACCEPTED
        )

    async def get(self, run_id: UUID, caller: Caller) -> BulkView:
        """Show how far a bulk action is, and what it was not done for."""
        await self._require_mine(run_id, caller)
        return await self._bulk.get(self._node.services.db, run_id)

    async def cancel(self, run_id: UUID, caller: Caller) -> BulkView:
        """Stop a bulk action where it is; what is done stays done and can be undone."""
        await self._require_mine(run_id, caller)

        async def do(uow: UnitOfWork) -> BulkView:
            if await self._bulk.cancel(uow.tx, run_id, caller.by):
                await uow.record(_entry("bulk.cancelled", run_id, {}))
            return await self._bulk.get(uow.tx, run_id)

        return await run_once(self._node.services, caller, BulkView, do)

    async def undo(self, run_id: UUID, caller: Caller) -> BulkAnswer:
        """Give each lead back what it had before, but for those changed since: they are told."""
        action = await self._require_mine(run_id, caller)
        _require_permission(action, caller)
        mine = caller.principal.sees_owner

        async def do(uow: UnitOfWork) -> BulkAnswer:
            begun = await self._bulk.undo(
                uow.tx, run_id, caller.by, None if mine is None else str(mine)
            )
            told = {"undoes": str(run_id), "count": begun.count}
            return await self._publish(uow, begun, "bulk.undone", told)

        return await run_once(self._node.services, caller, BulkAnswer, do)

    async def _publish(
        self, uow: UnitOfWork, begun: Begun, action: str, told: dict[str, object]
    ) -> BulkAnswer:
        """Queue the chunks, and write the act down once."""
        job_ids = await uow.publication.publish(
            begun.chunks,
            run_id=begun.run_id,
            request_id=uow.caller.request_id,
            trace_parent=uow.caller.trace_parent,
        )
        await uow.record(_entry(action, begun.run_id, told))
        return BulkAnswer(count=begun.count, run_id=begun.run_id, job_id=job_ids[0])

    async def _order(self, body: BulkBody, caller: Caller) -> NewBulk:
        """Say what is wanted in the slice's words; the leads are still to be named."""
        mine = caller.principal.sees_owner
        if body.action is Verb.ASSIGN and mine is not None:
            raise Denied(
                "who sees only his own leads cannot give them away: ask a manager",
                code="leads.owner.denied",
            )
        return NewBulk(
            verb=body.action,
            lead_ids=(),
            by=caller.by,
            parameters=await self._read_parameters(body),
            money=self._read_money(body),
            filter_text=None if body.filter is None else _compact(body.filter),
            sees_owner=None if mine is None else str(mine),
        )

    async def _read_parameters(self, body: BulkBody) -> Parameters:
        if body.action in _WORKING:
            icp_id = await self._node.services.icps.resolve_version(body.icp_id or None)
            return Parameters(icp_id=icp_id, is_forced=body.force is True)
        if body.action is Verb.ASSIGN:
            return Parameters(
                owner=await self._node.services.lead_owners.resolve(body.owner_id or None)
            )
        return Parameters(tag=normalize_tag(body.tag)) if body.tag else Parameters()

    def _read_money(self, body: BulkBody) -> Money:
        if body.action is not Verb.ENRICH:
            return Money()
        budget = self._node.services.budget
        has_cap = isinstance(body.cap_micros, int)
        return Money(
            sends=body.sends.value if body.sends else SendsPolicy.HOLD.value,
            providers=None if body.providers is msgspec.UNSET else body.providers,
            cap_micros=body.cap_micros if has_cap else budget.run_micros,  # type: ignore[arg-type]  # an int where has_cap
            lead_cap_micros=budget.lead_micros,
        )

    async def _choose(self, body: BulkBody, caller: Caller) -> Sequence[UUID]:
        """Name the leads meant, each once; one more than an action takes is enough to refuse."""
        if body.filter is None:
            return tuple(dict.fromkeys(body.ids or ()))
        lists = self._node.services.lead_lists
        async with lists.snapshot(body.filter.filter_for(caller)) as snapshot:
            return await snapshot.ids(MOST_LEADS)

    async def _require_mine(self, run_id: UUID, caller: Caller) -> Verb:
        """Look an action up; who sees only his own leads sees only his own actions."""
        action = await self._bulk.find(self._node.services.db, run_id)
        if caller.principal.sees_owner is not None and action.created_by != caller.by:
            raise NotFound(f"there is no bulk action {run_id}", code="bulk.not_found")
        return action.verb


def _require_permission(verb: Verb, caller: Caller) -> None:
    needed = Permission.LEADS_DELETE if verb in _DELETING else Permission.LEADS_WRITE
    if needed not in caller.principal.permissions:
        raise Denied(f"{verb.value} needs the permission {needed.value}", code="http.denied")


def _require_sound(body: BulkBody) -> None:
    """Refuse what does not go together. Raises: Invalid with the fields."""
    problems = [
        FieldProblem(field.encode_name, f"does not go with {body.action.value}: leave it out")
        for field in msgspec.structs.fields(body)
        if field.name in _NEEDS
        and getattr(body, field.name) is not msgspec.UNSET
        and body.action not in _NEEDS[field.name]
    ]
    if (body.ids is None) is (body.filter is None):
        problems.append(FieldProblem("ids", "give ids or a filter, one of both"))
    if body.action is Verb.RESTORE and body.filter is not None:
        problems.append(FieldProblem("filter", "deleted leads are in no list: give ids"))
    if body.action is Verb.ASSIGN and body.owner_id is msgspec.UNSET:
        problems.append(FieldProblem("ownerId", "say whose they are to be; null: nobody's"))
    if body.action in _TAGGING and body.tag is msgspec.UNSET:
        problems.append(FieldProblem("tag", "say which tag"))
    if problems:
        told = "; ".join(f"{one.path}: {one.problem}" for one in problems)
        raise Invalid(told, tuple(problems), code="bulk.invalid")


def _require_count(body: BulkBody, count: int) -> None:
    """Refuse when other leads are meant than the preview told. Raises: Conflict.

    Only where it is begun: asked again with its key, the same filter finds what is left.
    """
    if body.expected_count not in {None, count}:
        raise Conflict(
            f"{count} leads are meant by now, not {body.expected_count}: look at the preview again",
            code="bulk.count.other",
        )


def _told(new: NewBulk, count: int) -> dict[str, object]:
    return {
        "action": new.verb.value,
        "count": count,
        "filter": None if new.filter_text is None else msgspec.json.decode(new.filter_text),
        "parameters": msgspec.to_builtins(new.parameters),
    }


def _compact(choice: LeadFilterQuery) -> str:
    """Write a filter without what it does not ask for."""
    told = msgspec.to_builtins(choice)
    return msgspec.json.encode(
        {name: value for name, value in told.items() if value is not None}
    ).decode()


def _entry(action: str, run_id: UUID, detail: dict[str, object]) -> AuditEntry:
    return AuditEntry(action=action, subject_kind="bulk", subject_id=str(run_id), detail=detail)


def _page(answer: BulkAnswer, status: HTTPStatus) -> HtmlPage:
    return HtmlPage(
        body=msgspec.json.encode(answer), content_type="application/json", status=status.value
    )
