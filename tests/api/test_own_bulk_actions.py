"""Bulk actions of a sales representative who sees only their own leads."""

from uuid import UUID, uuid4

import anyio
import msgspec
import pytest
from leadflood.api.http.idempotency import PLAIN_MEMORY
from leadflood.api.http.request_context import Caller
from leadflood.api.http.responses import RawResponse
from leadflood.api.http.unit_of_work import LateUnitOfWork
from leadflood.api.routes.bulk_actions import BulkBody, get_bulk_action, start_bulk_action
from leadflood.api.routes.lead_list import LeadFilterQuery
from leadflood.app import Node
from leadflood.domain.auth.schemas.principals import Principal, PrincipalKind, Visibility
from leadflood.domain.auth.schemas.roles import PERMISSIONS, Role
from leadflood.domain.bulk_actions.schemas import BulkAction, BulkView
from leadflood.engine.errors import Denied, NotFound

from tests.support.api import Client
from tests.support.leads import make_leads

pytestmark = pytest.mark.pg


def a_rep(user_id: UUID) -> Caller:
    """A sales representative of a team in which they see only their own leads."""
    principal = Principal(
        kind=PrincipalKind.USER,
        name="rep",
        permissions=PERMISSIONS[Role.SALES_REP],
        id=user_id,
        user_id=user_id,
        role=Role.SALES_REP,
        visibility=Visibility(user_id),
    )
    return Caller(request_id=uuid4().hex, principal=principal, route="test")


@pytest.fixture
def rep() -> Caller:
    return a_rep(uuid4())


@pytest.fixture
async def own_lead(node: Node, rep: Caller) -> UUID:
    (lead_id,) = await make_leads(node.storage, 1, owner=str(rep.principal.user_id))
    return UUID(lead_id)


@pytest.fixture
async def foreign_lead(node: Node) -> UUID:
    (lead_id,) = await make_leads(node.storage, 1, owner=str(uuid4()))
    return UUID(lead_id)


async def test_a_bulk_action_changes_only_the_callers_own_leads(
    node: Node, api: Client, rep: Caller, own_lead: UUID, foreign_lead: UUID
) -> None:
    by_ids = BulkBody(action=BulkAction.TAG, tag="reached", ids=(own_lead, foreign_lead))
    by_filter = BulkBody(action=BulkAction.TAG, tag="filtered", filter=LeadFilterQuery())

    named = await finish(node, await start(node, by_ids, rep), rep)
    filtered = await finish(node, await start(node, by_filter, rep), rep)

    assert (named.done_count, named.refused_count) == (1, 1)
    problems = [(problem.lead_id, problem.code) for problem in named.problems]
    assert problems == [(foreign_lead, "leads.not_found")]
    assert (filtered.count, filtered.done_count) == (1, 1)
    assert (await api.ask("PUT", f"/v1/leads/{foreign_lead}/tags/z")).json["tags"] == ["z"]


async def test_a_lead_that_changed_hands_meanwhile_is_not_changed(
    node: Node, api: Client, rep: Caller, own_lead: UUID
) -> None:
    runner = node.engine.runners["bulk.run"]
    runner.apply_pause(is_paused=True)
    try:
        body = BulkBody(action=BulkAction.TAG, tag="late", ids=(own_lead,))
        run_id = await start(node, body, rep)
        await api.ask("PUT", f"/v1/leads/{own_lead}/owner", {"ownerId": None})
    finally:
        runner.apply_pause(is_paused=False)

    view = await finish(node, run_id, rep)

    assert (view.done_count, view.refused_count) == (0, 1)


async def test_a_rep_deletes_and_assigns_nothing_and_sees_only_their_own_actions(
    node: Node, rep: Caller, own_lead: UUID
) -> None:
    run_id = await start(node, BulkBody(action=BulkAction.TAG, tag="own", ids=(own_lead,)), rep)

    for body in (
        BulkBody(action=BulkAction.DELETE, ids=(own_lead,)),
        BulkBody(action=BulkAction.RESTORE, ids=(own_lead,)),
        BulkBody(action=BulkAction.ASSIGN, ids=(own_lead,), owner_id=None),
    ):
        with pytest.raises(Denied):
            await start(node, body, rep)
    with pytest.raises(NotFound):
        await get_bulk_action.handler(run_id, a_rep(uuid4()), node.services)


async def start(node: Node, body: BulkBody, caller: Caller) -> UUID:
    late_uow: LateUnitOfWork[RawResponse] = LateUnitOfWork(
        node.services, caller, RawResponse, PLAIN_MEMORY
    )
    page = await start_bulk_action.handler(body, caller, node.services, late_uow)
    assert page.status == 202
    return UUID(msgspec.json.decode(page.body)["runId"])


async def finish(node: Node, run_id: UUID, caller: Caller) -> BulkView:
    with anyio.fail_after(20):
        while True:
            view: BulkView = await get_bulk_action.handler(run_id, caller, node.services)
            if not view.left_count:
                return view
            await anyio.lowlevel.checkpoint()
