import pytest
from leadflood.domain.notifications.service.event_notifier import EventNotifier
from leadflood.domain.notifications.service.notifications import NotificationService
from leadflood.engine.db.pool import Database
from tests.support.messaging import World


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


@pytest.fixture
def notifier(world: World) -> EventNotifier:
    return EventNotifier(world.clock, world.ids)


@pytest.fixture
def service(world: World) -> NotificationService:
    return NotificationService(world.db, world.clock)
