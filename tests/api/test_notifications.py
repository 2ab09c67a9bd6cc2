from uuid import uuid4

import pytest
from leadflood.app import Node
from leadflood.domain.notifications.schemas import NewNotification, NotificationKind

from tests.support.api import Client

pytestmark = pytest.mark.pg


async def tell(node: Node, count: int) -> None:
    for number in range(count):
        one = NewNotification(
            key=str(uuid4()),
            kind=NotificationKind.RUN_COMPLETED,
            permission="discovery:read",
            title=f"Run {number}: done",
            subject=("run", str(uuid4())),
        )
        async with node.publisher.transaction() as publication:
            await node.watcher.tell(publication, [one])


async def test_notifications_are_listed_read_and_counted(node: Node, api: Client) -> None:
    await tell(node, 3)
    before = (await api.get("/v1/notifications?limit=3")).json
    newest, second, third = before["data"]

    one = await api.ask("PUT", f"/v1/notifications/{newest['id']}/read")
    rest = await api.ask("PUT", "/v1/notifications/read", {"upTo": third["id"]})
    unread = (await api.get("/v1/notifications?unread=true&limit=2")).json

    assert newest["subjectKind"] == "run"
    assert one.json["unreadCount"] == before["unreadCount"] - 1
    assert rest.json["unreadCount"] == unread["unreadCount"] == 1
    assert [told["id"] for told in unread["data"]] == [second["id"]]


async def test_a_list_goes_on_from_its_cursor(node: Node, api: Client) -> None:
    await tell(node, 3)
    seen: list[str] = []
    cursor = ""

    while cursor is not None:
        page = (await api.get(f"/v1/notifications?limit=2&cursor={cursor}")).json
        seen += [told["id"] for told in page["data"]]
        cursor = page["pagination"]["nextCursor"]

    assert seen == sorted(set(seen), reverse=True)


async def test_a_notification_that_is_not_there_cannot_be_read(api: Client) -> None:
    one = await api.ask("PUT", f"/v1/notifications/{uuid4()}/read")
    rest = await api.ask("PUT", "/v1/notifications/read", {"upTo": str(uuid4())})

    assert one.problem["code"] == rest.problem["code"] == "notification.not_found"
