"""Who sees only his own leads: the others are not there for him."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from leadflood.api.http.request_context import Caller
from leadflood.api.routes.lead_actions import LeadChangeRoutes, MergeInto, NewOwner, ScoreWish
from leadflood.app import Node
from leadflood.domain.auth.schemas import PERMISSIONS, Principal, PrincipalKind, Role, Visibility
from leadflood.domain.leads.schemas import LeadChange
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


@pytest.fixture
def changes(node: Node) -> LeadChangeRoutes:
    return LeadChangeRoutes(node)


async def test_the_leads_of_others_are_not_found(
    changes: LeadChangeRoutes, rep: Caller, mine: UUID, theirs: UUID, icp_id: str
) -> None:
    asked: list[Any] = [
        lambda: changes.update(theirs, LeadChange(title="X"), rep),
        lambda: changes.delete(theirs, rep),
        lambda: changes.restore(theirs, rep),
        lambda: changes.assign(theirs, NewOwner(owner_id=None), rep),
        lambda: changes.tag(theirs, "x", rep),
        lambda: changes.untag(theirs, "x", rep),
        lambda: changes.merge(theirs, MergeInto(into_id=mine), rep),
        lambda: changes.merge(mine, MergeInto(into_id=theirs), rep),
        lambda: changes.unmerge(theirs, rep),
        lambda: changes.score(theirs, ScoreWish(icp_id=UUID(icp_id)), rep),
    ]

    for ask in asked:
        with pytest.raises(NotFound):
            await ask()


async def test_an_address_of_others_is_not_told_of_their_leads(
    api: Client, changes: LeadChangeRoutes, rep: Caller, mine: UUID, theirs: UUID
) -> None:
    taken = (await api.get(f"/v1/leads/{mine}")).json["values"]["email"]

    with pytest.raises(NotFound):
        await changes.update(theirs, LeadChange(email=taken), rep)


async def test_his_own_lead_he_changes_but_does_not_give_away(
    changes: LeadChangeRoutes, rep: Caller, mine: UUID
) -> None:
    view = await changes.update(mine, LeadChange(title="CTO"), rep)

    assert view.owner == str(rep.principal.user_id)
    with pytest.raises(Denied, match="ask a manager"):
        await changes.assign(mine, NewOwner(owner_id=None), rep)


async def test_he_counts_the_tags_of_his_own_leads(
    changes: LeadChangeRoutes, rep: Caller, mine: UUID
) -> None:
    word = uuid4().hex[:8]
    await changes.tag(mine, word, rep)

    assert [one.tag for one in await changes.list_tags(rep)] == [word]
    assert await changes.list_tags(a_rep(uuid4())) == []
