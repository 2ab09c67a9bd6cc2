"""Notifications over HTTP: what there is to know, and what of it was read."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from leadflood.api.http.pagination import Pagination, Paging, listed
from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import Route
from leadflood.api.http.unit_of_work import UnitOfWork, run_once
from leadflood.api.services import Node
from leadflood.domain.notifications.schemas import NotificationView, Reader
from leadflood.domain.notifications.service import NotificationService
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


class Notifications:
    """The routes of notifications. Everybody has marks of his own."""

    def __init__(self, node: Node) -> None:
        self._node = node

    @property
    def _notifications(self) -> NotificationService:
        return NotificationService(self._node.services.db, self._node.services.clock)

    def routes(self) -> tuple[Route, ...]:
        """List the rows of the table."""
        path = "/v1/notifications"
        own = "self"
        return (
            Route(method="GET", path=path, handler=self.list, permission=own),
            Route(
                method="PUT", path=f"{path}/read", handler=self.read_all, permission=own,
                errors=(NotFound,),
            ),
            Route(
                method="PUT", path=path + "/{notificationId}/read", handler=self.read,
                permission=own, errors=(NotFound,),
            ),
        )  # fmt: skip

    async def list(self, query: NotificationQuery, caller: Caller) -> Notified:
        """List what the caller may be told, newest first."""
        reader = _reader_of(caller)
        found = await self._notifications.list_some(
            reader, only_unread=query.unread, before=query.place(), limit=query.reach
        )
        page = listed(query.skip(found), query, lambda one: one.id)
        count = await self._notifications.count_unread(reader)
        return Notified(data=page.data, pagination=page.pagination, unread_count=count)

    async def read(self, notification_id: UUID, caller: Caller) -> Unread:
        """Mark one as read; again changes nothing."""
        reader = _reader_of(caller)

        async def do(uow: UnitOfWork) -> None:
            await self._notifications.mark_read(uow.tx, reader, notification_id)

        await run_once(self._node.services, caller, type(None), do)
        return Unread(unread_count=await self._notifications.count_unread(reader))

    async def read_all(self, body: UpTo, caller: Caller) -> Unread:
        """Mark all up to one as read: what came since stays unread."""
        reader = _reader_of(caller)

        async def do(uow: UnitOfWork) -> None:
            await self._notifications.mark_seen(uow.tx, reader, body.up_to)

        await run_once(self._node.services, caller, type(None), do)
        return Unread(unread_count=await self._notifications.count_unread(reader))


def _reader_of(caller: Caller) -> Reader:
    """Tell who reads: a key reads for its user, an operator for himself."""
    principal = caller.principal
    return Reader(
        name=caller.by if principal.user_id is None else f"user:{principal.user_id}",
        user_id=principal.user_id,
        permissions=tuple(sorted(permission.value for permission in principal.permissions)),
    )
