from datetime import UTC, datetime
from uuid import uuid4

import anyio
import msgspec
import pytest
from leadflood.api.http.event_permissions import NO_OWNERS, EventFilter
from leadflood.app import Node
from leadflood.domain.auth.schemas.roles import Permission
from leadflood.domain.notifications.schemas import (
    NewNotification,
    NotificationCreated,
    NotificationKind,
)
from leadflood.engine.obs.event_feed import Cursor, LoggedEvent
from leadflood.engine.queue.event import name_of

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
            await node.life.notifier.publish(publication, [one])


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
    cursor: str | None = ""

    while cursor is not None:
        page = (await api.get(f"/v1/notifications?limit=2&cursor={cursor}")).json
        seen += [told["id"] for told in page["data"]]
        cursor = page["pagination"]["nextCursor"]

    assert seen == sorted(set(seen), reverse=True)


async def test_a_notification_that_does_not_exist_cannot_be_marked(api: Client) -> None:
    one = await api.ask("PUT", f"/v1/notifications/{uuid4()}/read")
    rest = await api.ask("PUT", "/v1/notifications/read", {"upTo": str(uuid4())})

    assert one.problem["code"] == rest.problem["code"] == "notification.not_found"


async def test_a_notification_s_event_reaches_the_readers_of_the_notification(
    node: Node, api: Client
) -> None:
    await tell(node, 1)
    [told] = (await api.get("/v1/notifications?limit=1")).json["data"]

    heard: list[dict[str, object]] = []
    cursor = ""
    with anyio.fail_after(20):
        while not heard:
            query = f"types=notification&subject={told['id']}&cursor={cursor}"
            page = (await api.get(f"/v1/events?{query}")).json
            heard, cursor = page["data"], page["pagination"]["nextCursor"] or cursor

    assert [one["type"] for one in heard] == ["notifications.notification.created"]
    event_filter = EventFilter(
        types=(),
        subject=None,
        run_id=None,
        permissions=frozenset({Permission.SELF, Permission.DISCOVERY_READ}),
        user_id=None,
    )
    for_all = NotificationCreated(
        notification_id=uuid4(),
        kind="run.completed",
        title="x",
        permission="discovery:read",
        user_id=None,
    )
    for_admins = msgspec.structs.replace(for_all, permission="admin:read")
    for_one = msgspec.structs.replace(for_all, user_id=uuid4())
    assert event_filter.passes(logged(for_all), NO_OWNERS)
    assert not event_filter.passes(logged(for_admins), NO_OWNERS)
    assert not event_filter.passes(logged(for_one), NO_OWNERS)


def logged(event: NotificationCreated) -> LoggedEvent:
    return LoggedEvent(
        cursor=Cursor(1, 1, event.notification_id),
        id=event.notification_id,
        type=name_of(event),
        at=datetime(2026, 1, 1, tzinfo=UTC),
        subject=event.notification_id,
        run_id=None,
        version=None,
        payload=msgspec.json.encode(event).decode(),
    )
