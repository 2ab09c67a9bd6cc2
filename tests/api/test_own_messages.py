"""Who sees only his own leads: messages, jobs and records of others are not there for him."""

from uuid import UUID, uuid4

import pytest
from leadflood.api.http.request_context import Caller
from leadflood.api.routes import icp_search, jobs
from leadflood.api.routes.icp_search import PreviewQuery
from leadflood.api.routes.jobs import JobQuery
from leadflood.api.routes.messages import MessageQuery, Messages, Rejection
from leadflood.app import Node
from leadflood.domain.auth.schemas import PERMISSIONS, Principal, PrincipalKind, Role, Visibility
from leadflood.domain.messaging.schemas import Edit
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import NotFound

from tests.support.messaging import World
from tests.support.statements import sql

pytestmark = pytest.mark.pg


@pytest.fixture
def rep() -> Caller:
    """A sales representative of a team in which everybody sees his own leads."""
    user_id = uuid4()
    principal = Principal(
        kind=PrincipalKind.USER, name="rep", permissions=PERMISSIONS[Role.SALES_REP],
        id=user_id, user_id=user_id, role=Role.SALES_REP, visibility=Visibility(user_id),
    )  # fmt: skip
    return Caller(request_id=uuid4().hex, principal=principal, route="test")


async def a_draft(world: World, owner: str) -> tuple[UUID, UUID]:
    """Tell a message that waits and the lead it is to."""
    lead_id = await world.lead(email=f"{uuid4()}@acme.example", full_name=f"Ada {uuid4()}")
    await world.db.execute(
        sql("UPDATE lead SET owner = $1 WHERE id = $2", "owner", "id"), owner=owner, id=lead_id
    )
    run_id = await world.run("hold")
    await world.drafted([lead_id], run_id, await world.icp(autopilot=False))
    [message] = await world.service.list_messages(run_id=run_id)
    return message.id, lead_id


async def test_messages_to_others_leads_are_neither_listed_nor_shown_nor_decided_on(
    node: Node, world: World, rep: Caller
) -> None:
    mine, my_lead = await a_draft(world, str(rep.principal.user_id))
    theirs, their_lead = await a_draft(world, str(uuid4()))
    routes = Messages(node)

    listed = [one.id for one in (await routes.list(MessageQuery(), rep)).data]
    of_theirs = (await routes.list(MessageQuery(lead_id=their_lead), rep)).data
    of_mine = (await routes.list(MessageQuery(lead_id=my_lead), rep)).data

    assert listed == [mine] == [one.id for one in of_mine]
    assert not of_theirs
    assert (await routes.get(mine, rep)).message.id == mine
    for refused in (
        routes.get(theirs, rep),
        routes.edit(theirs, Edit(subject="x"), rep),
        routes.approve(theirs, rep),
        routes.reject(theirs, Rejection(), rep),
        routes.send(theirs, rep),
    ):
        with pytest.raises(NotFound):
            await refused
    assert (await routes.edit(mine, Edit(subject="Mine"), rep)).subject == "Mine"


async def test_messages_to_a_merged_lead_are_those_of_its_survivors_owner(
    node: Node, world: World, rep: Caller, node_database: Database
) -> None:
    survivor = await world.lead(email=f"{uuid4()}@acme.example", full_name=f"Ada {uuid4()}")
    message, merged = await a_draft(world, str(uuid4()))
    await node_database.execute(
        sql(
            "WITH own AS (UPDATE lead SET owner = $1 WHERE id = $2)"
            " UPDATE lead SET merged_into = $2, merge_reason = 'same', merged_by = 'test',"
            " merged_at = created_at WHERE id = $3",
            "owner",
            "into",
            "id",
        ),
        owner=str(rep.principal.user_id),
        into=survivor,
        id=merged,
    )

    listed = (await Messages(node).list(MessageQuery(), rep)).data

    assert [one.id for one in listed] == [message]
    assert (await Messages(node).get(message, rep)).message.id == message


async def test_jobs_about_others_leads_are_not_found(node: Node, world: World, rep: Caller) -> None:
    _, mine = await a_draft(world, str(rep.principal.user_id))
    _, theirs = await a_draft(world, str(uuid4()))
    list_jobs = jobs.list_jobs.handler

    assert not (await list_jobs(JobQuery(lead_id=mine), rep, node.services)).data
    with pytest.raises(NotFound):
        await list_jobs(JobQuery(lead_id=theirs), rep, node.services)


async def test_a_preview_looks_at_the_callers_own_leads(
    node: Node, world: World, rep: Caller, icp_id: str
) -> None:
    _, mine = await a_draft(world, str(rep.principal.user_id))
    await a_draft(world, str(uuid4()))

    preview_icp = icp_search.preview_icp.handler

    preview = await preview_icp(UUID(icp_id), PreviewQuery(), rep, node.services)

    assert (preview.evaluated_count, preview.total_count, preview.is_sample) == (1, 1, False)
    assert [lead.lead_id for lead in preview.sample] == [mine]
