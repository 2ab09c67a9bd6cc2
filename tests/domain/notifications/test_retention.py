from datetime import timedelta

import pytest
from leadflood.domain.notifications.retention import prune
from leadflood.domain.notifications.schemas import (
    Settings,
)
from leadflood.domain.notifications.service.event_notifier import EventNotifier
from leadflood.domain.notifications.service.notifications import NotificationService
from leadflood.engine.ids import id_at
from tests.domain.notifications.log import (
    ANN,
    a_notification,
    notifications_of,
    publish,
)
from tests.support.messaging import World
from tests.support.statements import sql

pytestmark = pytest.mark.pg


async def test_old_notifications_are_deleted_with_their_marks(
    world: World, notifier: EventNotifier, service: NotificationService
) -> None:
    await publish(world, notifier, a_notification())
    [notification] = await notifications_of(service, ANN)
    async with world.db.transaction() as tx:
        await service.mark_read(tx, ANN, notification.id)
    old = id_at(world.clock.now() - timedelta(days=2))
    await world.db.execute(
        sql(
            "WITH gone AS (DELETE FROM notification_read) UPDATE notification SET id = $1",
            "id",
        ),
        id=old,
    )
    await publish(world, notifier, a_notification(title="young"))

    assert await prune(world.db, Settings(keep_days=1.0), world.clock.now()) == 1
    assert [item.title for item in await notifications_of(service, ANN)] == ["young"]
