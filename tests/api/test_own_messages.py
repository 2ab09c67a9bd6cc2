"""Whoever sees only their own leads: messages, jobs and records of others are not there."""

from uuid import UUID, uuid4

import pytest
from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import Route
from leadflood.api.http.unit_of_work import run_once
from leadflood.api.routes import icp_search, jobs, messages
from leadflood.api.routes.icp_search import PreviewQuery
from leadflood.api.routes.jobs import JobQuery
from leadflood.api.routes.messages import Again, MessageQuery, Rejection
from leadflood.app import Node
from leadflood.domain.auth.schemas.principals import Principal, PrincipalKind, Visibility
from leadflood.domain.auth.schemas.roles import PERMISSIONS, Role
from leadflood.domain.messages.schemas import Edit, MessageFilter, MessageView
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import NotFound

from tests.support.messaging import World
from tests.support.statements import sql

pytestmark = pytest.mark.pg
ALL = MessageQuery()


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
    [message] = await world.messages.list(MessageFilter(run_id=run_id))
    return message.id, lead_id


async def list_messages(node: Node, caller: Caller, query: MessageQuery = ALL) -> list[UUID]:
    page = await messages.list_messages.handler(query, caller, node.services)
    return [message.id for message in page.data]


async def decide(
    node: Node, caller: Caller, route: Route, message_id: UUID, *body: object
) -> MessageView:
    """Call a handler within its unit of work."""
    return await run_once(
        node.services,
        caller,
        MessageView,
        lambda uow: route.handler(message_id, *body, caller, node.services, uow),
    )


async def test_messages_to_others_leads_are_neither_listed_nor_shown_nor_decided_on(
    node: Node, world: World, rep: Caller
) -> None:
    mine, my_lead = await a_draft(world, str(rep.principal.user_id))
    theirs, their_lead = await a_draft(world, str(uuid4()))
    get = messages.get_message.handler

    listed = await list_messages(node, rep)
    of_theirs = await list_messages(node, rep, MessageQuery(lead_id=their_lead))
    of_mine = await list_messages(node, rep, MessageQuery(lead_id=my_lead))

    assert listed == [mine] == of_mine
    assert not of_theirs
    assert (await get(mine, rep, node.services)).message.id == mine
    for refused in (
        get(theirs, rep, node.services),
        decide(node, rep, messages.edit_message, theirs, Edit(subject="x")),
        decide(node, rep, messages.approve_message, theirs, Again()),
        decide(node, rep, messages.reject_message, theirs, Rejection()),
        decide(node, rep, messages.send_message, theirs, Again()),
    ):
        with pytest.raises(NotFound):
            await refused
    edited = await decide(node, rep, messages.edit_message, mine, Edit(subject="Mine"))
    assert edited.subject == "Mine"


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

    listed = await list_messages(node, rep)
    detail = await messages.get_message.handler(message, rep, node.services)

    assert listed == [message]
    assert detail.message.id == message


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
