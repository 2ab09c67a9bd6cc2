"""Notifications as their readers list them and mark them read."""

from uuid import UUID

from leadflood.domain.notifications import repository
from leadflood.domain.notifications.schemas import NotificationReader, NotificationView
from leadflood.engine.clock import Clock
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import NotFound

UNREAD_LIMIT = 1_000
"""Unread ones are counted up to this."""


class NotificationService:
    """The use cases of readers."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def list_some(
        self,
        reader: NotificationReader,
        *,
        only_unread: bool = False,
        before: UUID | None = None,
        limit: int = 50,
    ) -> list[NotificationView]:
        """List a reader's notifications, newest first; `before` is the last one listed."""
        return await repository.list_notifications(
            self._db, reader, only_unread=only_unread, before=before, limit=limit
        )

    async def count_unread(self, reader: NotificationReader) -> int:
        """Count a reader's unread notifications, up to 1,000."""
        return await repository.count_unread(self._db, reader, UNREAD_LIMIT)

    async def mark_read(self, tx: Tx, reader: NotificationReader, notification_id: UUID) -> int:
        """Mark a notification read; return how many are left unread, up to 1,000.

        Raises: NotFound.
        """
        await self._require_visible(tx, reader, notification_id)
        await repository.mark_read(tx, reader, notification_id, self._clock.now())
        return await repository.count_unread(tx, reader, UNREAD_LIMIT)

    async def mark_seen(self, tx: Tx, reader: NotificationReader, up_to: UUID) -> int:
        """Mark a notification and all older ones read; return how many are left, up to 1,000.

        Raises: NotFound.
        """
        await self._require_visible(tx, reader, up_to)
        await repository.mark_seen(tx, reader, up_to, self._clock.now())
        return await repository.count_unread(tx, reader, UNREAD_LIMIT)

    async def _require_visible(
        self, tx: Tx, reader: NotificationReader, notification_id: UUID
    ) -> None:
        if not await repository.is_visible(tx, reader, notification_id):
            raise NotFound(
                f"there is no notification {notification_id}", code="notification.not_found"
            )
