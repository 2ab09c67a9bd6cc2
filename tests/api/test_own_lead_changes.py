"""Who sees only their own leads: the others are not there for them."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from leadflood.api.http.endpoint import Endpoint
from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import Route
from leadflood.api.routes import lead_actions
from leadflood.api.routes.lead_actions import MergeInto, NewOwner, ScoreRequest
from leadflood.app import Node
from leadflood.domain.auth.schemas.principals import Principal, PrincipalKind, Visibility
from leadflood.domain.auth.schemas.roles import PERMISSIONS, Role
from leadflood.domain.leads.schemas.inputs import LeadChange
from leadflood.engine.errors import Denied, NotFound

from tests.support.api import Client
from tests.support.leads import make_leads

pytestmark = pytest.mark.pg


def a_rep(user_id: UUID) -> Caller:
    """A sales representative of a team in which everybody sees their own leads."""
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
    ask: Ask, mine: UUID, theirs: UUID, icp_id: str
) -> None:
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
        lambda: ask(lead_actions.score_lead, theirs, ScoreRequest(icp_id=UUID(icp_id))),
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
