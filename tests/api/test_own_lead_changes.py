"""Who sees only his own leads: the others are not there for him."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import anyio
import msgspec
import pytest
from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import Endpoint, Route
from leadflood.api.routes import lead_actions
from leadflood.api.routes.bulk_actions import Bulk, BulkBody
from leadflood.api.routes.feedback import FeedbackBody, FeedbackRoutes
from leadflood.api.routes.lead_actions import MergeInto, NewOwner, ScoreWish
from leadflood.api.routes.lead_list import LeadFilterQuery
from leadflood.app import Node
from leadflood.domain.auth.schemas import PERMISSIONS, Principal, PrincipalKind, Role, Visibility
from leadflood.domain.bulk.schemas import Verb
from leadflood.domain.leads.schemas import LeadChange
from leadflood.domain.learning.schemas import Outcome
from leadflood.engine.errors import Denied, NotFound

from tests.support.api import Client
from tests.support.leads import make_leads

pytestmark = pytest.mark.pg


def a_rep(user_id: UUID) -> Caller:
    """A sales representative of a team in which everybody sees his own leads."""
    principal = Principal(
        kind=PrincipalKind.USER, name="rep", permissions=PERMISSIONS[Role.SALES_REP],
        id=user_id, user_id=user_id, role=Role.SALES_REP, visibility=Visibility(user_id),
    )  # fmt: skip
    return Caller(request_id=uuid4().hex, principal=principal, route="test")


@pytest.fixture
def rep() -> Caller:
    return a_rep(uuid4())


@pytest.fixture
async def mine(node: Node, rep: Caller) -> UUID:
    (lead_id,) = await make_leads(node.storage, 1, owner=str(rep.principal.user_id))
    return UUID(lead_id)


@pytest.fixture
async def theirs(node: Node) -> UUID:
    (lead_id,) = await make_leads(node.storage, 1, owner=str(uuid4()))
    return UUID(lead_id)


Ask = Callable[..., Awaitable[Any]]


@pytest.fixture
def ask(node: Node, rep: Caller) -> Ask:
    """Asks a route as the representative, or as the caller named."""

    async def call(
        route: Route, lead_id: UUID | None = None, body: object = None, caller: Caller = rep,
        **path: str,
    ) -> Any:  # fmt: skip
        names = {**path} if lead_id is None else {"leadId": str(lead_id), **path}
        raw = b"" if body is None else msgspec.json.encode(body)
        return await Endpoint(route, lambda: node.services).answer(names, [], raw, caller)

    return call


async def test_the_leads_of_others_are_not_found(
    node: Node, ask: Ask, rep: Caller, mine: UUID, theirs: UUID, icp_id: str
) -> None:
    feedback = FeedbackRoutes(node)
    attempts: list[Any] = [
        lambda: ask(lead_actions.update_lead, theirs, LeadChange(title="X")),
        lambda: ask(lead_actions.delete_lead, theirs),
        lambda: ask(lead_actions.restore_lead, theirs),
        lambda: ask(lead_actions.assign_lead, theirs, NewOwner(owner_id=None)),
        lambda: ask(lead_actions.tag_lead, theirs, tag="x"),
        lambda: ask(lead_actions.untag_lead, theirs, tag="x"),
        lambda: ask(lead_actions.merge_leads, theirs, MergeInto(into_id=mine)),
        lambda: ask(lead_actions.merge_leads, mine, MergeInto(into_id=theirs)),
        lambda: ask(lead_actions.unmerge_lead, theirs),
        lambda: ask(lead_actions.score_lead, theirs, ScoreWish(icp_id=UUID(icp_id))),
        lambda: feedback.record(theirs, FeedbackBody(outcome=Outcome.WON), rep),
        lambda: feedback.list(theirs, rep),
    ]

    for attempt in attempts:
        with pytest.raises(NotFound):
            await attempt()


async def test_an_address_of_others_does_not_reveal_their_leads(
    api: Client, ask: Ask, mine: UUID, theirs: UUID
) -> None:
    taken = (await api.get(f"/v1/leads/{mine}")).json["values"]["email"]

    with pytest.raises(NotFound):
        await ask(lead_actions.update_lead, theirs, LeadChange(email=taken))


async def test_a_representative_changes_their_own_lead_but_does_not_give_it_away(
    ask: Ask, rep: Caller, mine: UUID
) -> None:
    view = await ask(lead_actions.update_lead, mine, LeadChange(title="CTO"))

    assert view.owner == str(rep.principal.user_id)
    with pytest.raises(Denied, match="ask a manager"):
        await ask(lead_actions.assign_lead, mine, NewOwner(owner_id=None))


async def test_a_representative_counts_the_tags_of_their_own_leads(ask: Ask, mine: UUID) -> None:
    word = uuid4().hex[:8]
    await ask(lead_actions.tag_lead, mine, tag=word)

    assert [tag.tag for tag in await ask(lead_actions.list_tags)] == [word]
    assert await ask(lead_actions.list_tags, caller=a_rep(uuid4())) == []


async def test_his_bulk_action_touches_his_own_leads_only(
    node: Node, api: Client, rep: Caller, mine: UUID, theirs: UUID
) -> None:
    bulk = Bulk(node)
    by_ids = BulkBody(action=Verb.TAG, tag="reached", ids=(mine, theirs))
    by_filter = BulkBody(action=Verb.TAG, tag="filtered", filter=LeadFilterQuery())

    named = await finished(bulk, await begin(bulk, by_ids, rep), rep)
    found = await finished(bulk, await begin(bulk, by_filter, rep), rep)

    assert (named.done_count, named.refused_count) == (1, 1)
    assert [(one.lead_id, one.code) for one in named.problems] == [(theirs, "leads.not_found")]
    assert (found.count, found.done_count) == (1, 1)
    assert (await api.ask("PUT", f"/v1/leads/{theirs}/tags/z")).json["tags"] == ["z"]


async def test_who_lost_a_lead_meanwhile_does_not_change_it(
    node: Node, api: Client, rep: Caller, mine: UUID
) -> None:
    bulk = Bulk(node)
    line = node.engine.runners["leads.bulk"]
    line.apply_pause(is_paused=True)
    try:
        body = BulkBody(action=Verb.TAG, tag="late", ids=(mine,))
        begun = await begin(bulk, body, rep)
        await api.ask("PUT", f"/v1/leads/{mine}/owner", {"ownerId": None})
    finally:
        line.apply_pause(is_paused=False)

    view = await finished(bulk, begun, rep)

    assert (view.done_count, view.refused_count) == (0, 1)


async def test_he_deletes_and_assigns_nothing_and_sees_his_own_actions_only(
    node: Node, rep: Caller, mine: UUID
) -> None:
    bulk = Bulk(node)
    begun = await begin(bulk, BulkBody(action=Verb.TAG, tag="own", ids=(mine,)), rep)

    for body in (
        BulkBody(action=Verb.DELETE, ids=(mine,)),
        BulkBody(action=Verb.RESTORE, ids=(mine,)),
        BulkBody(action=Verb.ASSIGN, ids=(mine,), owner_id=None),
    ):
        with pytest.raises(Denied):
            await bulk.begin(body, rep)
    with pytest.raises(NotFound):
        await bulk.get(begun, a_rep(uuid4()))


async def begin(bulk: Bulk, body: BulkBody, caller: Caller) -> UUID:
    page = await bulk.begin(body, caller)
    assert page.status == 202
    return UUID(msgspec.json.decode(page.body)["runId"])


async def finished(bulk: Bulk, run_id: UUID, caller: Caller) -> Any:
    with anyio.fail_after(20):
        while (view := await bulk.get(run_id, caller)).left_count:
            await anyio.lowlevel.checkpoint()
    return view
