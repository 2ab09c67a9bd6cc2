"""Notifications over HTTP: what there is to know, and what of it was read.

All readers have marks of their own.
"""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from leadflood.api.http.pagination import Pagination, Paging, paginate
from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import get, put
from leadflood.api.http.unit_of_work import UnitOfWork
from leadflood.api.services import Services
from leadflood.domain.notifications.schemas import NotificationReader, NotificationView
from leadflood.engine.errors import NotFound


class NotificationQuery(
    Paging, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """Which notifications: `unread` leaves out what was read."""

    unread: bool = False


class Notified(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A page of notifications; `unreadCount` counts all, up to 1,000."""

    data: Sequence[NotificationView]
    pagination: Pagination
    unread_count: int


class UpTo(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The newest notification that was read; all older ones are taken as read with it."""

    up_to: UUID


class Unread(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How many are left to read, up to 1,000."""

    unread_count: int


@get("/v1/notifications", permission="self")
async def list_notifications(
    query: NotificationQuery, caller: Caller, services: Services
) -> Notified:
    """List the notifications of the caller, newest first."""
    reader = _reader_of(caller)
    notifications = await services.notifications.list_some(
        reader, only_unread=query.unread, before=query.position(), limit=query.fetch_limit
    )
    page = paginate(notifications, query)
    count = await services.notifications.count_unread(reader)
    return Notified(data=page.data, pagination=page.pagination, unread_count=count)


@put("/v1/notifications/read", permission="self", errors=(NotFound,))
async def mark_all_read(body: UpTo, caller: Caller, services: Services, uow: UnitOfWork) -> Unread:
    """Mark all up to one as read: what came since stays unread."""
    count = await services.notifications.mark_seen(uow.tx, _reader_of(caller), body.up_to)
    return Unread(unread_count=count)


@put("/v1/notifications/{notificationId}/read", permission="self", errors=(NotFound,))
async def mark_read(
    notification_id: UUID, caller: Caller, services: Services, uow: UnitOfWork
) -> Unread:
    """Mark one as read; again changes nothing."""
    count = await services.notifications.mark_read(uow.tx, _reader_of(caller), notification_id)
    return Unread(unread_count=count)


def _reader_of(caller: Caller) -> NotificationReader:
    """Return the reader: a key reads for its user, an operator for themselves."""
    principal = caller.principal
    return NotificationReader(
        name=caller.by if principal.user_id is None else f"user:{principal.user_id}",
        user_id=principal.user_id,
        permissions=tuple(sorted(permission.value for permission in principal.permissions)),
        visibility=principal.visibility,
    )
