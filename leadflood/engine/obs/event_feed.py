"""The event feed: everything behind a cursor, in an order nothing can appear behind.

The cursor is opaque: (era, xid, id) of the last event seen. An event is visible once every
transaction that could still write before it has ended.
"""

import base64
import binascii
import struct
from collections.abc import AsyncGenerator, Callable, Hashable
from datetime import datetime
from typing import Any
from uuid import UUID

import anyio
import msgspec

from leadflood.engine.clock import REAL_TIME
from leadflood.engine.db.pool import Database
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Row, sqlstate_of
from leadflood.engine.errors import Invalid, LeadfloodError
from leadflood.engine.obs.log import log

SQL = load_queries(__file__)
PAGE = 500
LOOK_SECONDS = 0.1
BEHIND = 200
_NO_ID = UUID(int=2**128 - 1)
_FORM = struct.Struct(">iQ16s")


class CursorTooOld(LeadfloodError):
    """Events behind the cursor are pruned: begin anew from what is there now."""

    code = "events.cursor.too_old"


class Cursor(msgspec.Struct, frozen=True, order=True):
    """A position in the log."""

    era: int
    xid: int
    id: UUID

    def write(self) -> str:
        """Encode it as opaque text."""
        packed = _FORM.pack(self.era, self.xid, self.id.bytes)
        return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()

    @staticmethod
    def read(text: str) -> "Cursor":
        """Read it back. Raises: Invalid when we did not write it."""
        try:
            padded = text.encode("ascii") + b"=" * (-len(text) % 4)
            parts = _FORM.unpack(base64.b64decode(padded, b"-_", validate=True))
        except (binascii.Error, struct.error, UnicodeEncodeError) as error:
            raise _none_of_ours() from error
        era, xid, raw = parts
        return Cursor(era, xid, UUID(bytes=raw))


def _none_of_ours() -> Invalid:
    return Invalid.field(
        "cursor",
        "is none of ours",
        detail="cursor: give the cursor of an event, unchanged",
        code="events.cursor.invalid",
    )


class LoggedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event as it is read; `payload` is the event itself, as JSON.

    `subject` None: about nothing in particular; `version` None: its subject has none; `run_id`
    None: outside a run.
    """

    cursor: Cursor
    id: UUID
    type: str
    at: datetime
    subject: UUID | None
    version: int | None
    run_id: UUID | None
    payload: str


class EventFeed:
    """Reads the log."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def newest(self) -> Cursor:
        """Return where the log ends: who starts here sees only what is new."""
        row = await self._db.fetch_one(SQL.find_newest_place)
        era, xid = (row["era"], int(row["xid"])) if row is not None else (0, 0)
        return Cursor(era, xid, _NO_ID)

    async def oldest(self) -> Cursor:
        """Return the cursor before everything that is kept."""
        return Cursor(0, 0, UUID(int=0))

    async def check(self, cursor: Cursor) -> None:
        """Check that no event behind a cursor is pruned. Raises: CursorTooOld."""
        position = {"era": cursor.era, "xid": str(cursor.xid), "id": cursor.id}
        if await self._db.fetch_one(SQL.find_pruned_behind, **position) is not None:
            raise CursorTooOld(
                "events behind this cursor have been pruned: read the present state, then"
                " watch without a cursor"
            )

    async def read(self, after: Cursor, limit: int = PAGE) -> "list[LoggedEvent]":
        """Read the events behind a cursor, a page at most."""
        rows = await self._db.fetch(
            SQL.read_events, era=after.era, xid=str(after.xid), id=after.id, limit=limit
        )
        return [_happened(row) for row in rows]


class EventBatch:
    """Events read together; what all who watch compute of them once is kept in `shared`."""

    __slots__ = ("events", "shared")

    def __init__(self, events: "list[LoggedEvent]") -> None:
        self.events = events
        self.shared: dict[Hashable, Any] = {}

    @property
    def end(self) -> Cursor:
        """The cursor of its last event."""
        return self.events[-1].cursor

    def behind(self, cursor: Cursor) -> "EventBatch | None":
        """Return the part behind a cursor: itself where that is all, None where nothing is."""
        if self.events[0].cursor > cursor:
            return self
        fresh = [happened for happened in self.events if happened.cursor > cursor]
        return EventBatch(fresh) if fresh else None


Take = Callable[[EventBatch], bool]
"""Takes a page at once, without waiting; False: not now, it must be waited for."""


class Subscriber:
    """A subscriber: batches come by `receive`; `is_dropped`: it was too slow for them."""

    def __init__(self) -> None:
        self._send, self._receive = anyio.create_memory_object_stream[EventBatch](BEHIND)
        self._take: Take | None = None
        self._after: Cursor | None = None
        self.is_dropped = False

    def take_at_once(self, take: Take, after: Cursor) -> None:
        """Allow pages behind a cursor to be taken at once while nothing waits to be received."""
        if self._receive.statistics().current_buffer_used == 0:
            self._take, self._after = take, after

    def push(self, page: EventBatch) -> None:
        """Offer a page without waiting; a subscriber too far behind gets no more."""
        take, after = self._take, self._after
        if take is not None and after is not None:
            if page.events[0].cursor > after and take(page):
                return
            self._take = None  # this one and what follows is received in order
        try:
            self._send.send_nowait(page)
        except anyio.WouldBlock:
            self.is_dropped = True
            self.close()

    async def receive(self) -> EventBatch | None:
        """Wait for a page; None: there will be no more."""
        try:
            return await self._receive.receive()
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            return None

    def close(self) -> None:
        """End it; what was pushed before is still received."""
        self._send.close()

    def leave(self) -> None:
        """Throw away what was not received."""
        self._send.close()
        self._receive.close()


class EventHub:
    """Reads the log once for all who watch in this process."""

    def __init__(self, feed: EventFeed) -> None:
        self._feed = feed
        self._watchers: set[Subscriber] = set()
        self._has_watchers = anyio.Event()
        self._is_live = anyio.Event()
        self._is_closed = False

    @property
    def is_closed(self) -> bool:
        """Whether nobody may watch any more."""
        return self._is_closed

    @property
    def feed(self) -> EventFeed:
        """The feed it reads from."""
        return self._feed

    async def run(self) -> None:
        """Read for ever; rests while nobody watches."""
        after: Cursor | None = None
        while True:
            try:
                if not self._watchers:
                    after = None
                    self._is_live = anyio.Event()
                    await self._has_watchers.wait()
                if after is None:
                    after = await self._feed.newest()
                    self._is_live.set()
                after = await self._step(after)
            except Exception as error:
                if sqlstate_of(error) is None and not isinstance(error, TimeoutError):
                    raise
                log.warning("events.feed.delayed", error=str(error)[:200])
                await REAL_TIME.sleep(1.0)

    async def _step(self, after: Cursor) -> Cursor:
        events = await self._feed.read(after)
        if events:
            page = EventBatch(events)
            after = page.end
            for watcher in list(self._watchers):
                watcher.push(page)
        if len(events) < PAGE:
            await REAL_TIME.sleep(LOOK_SECONDS)
        return after

    async def watch(
        self, after: Cursor | None, take: Take | None = None
    ) -> AsyncGenerator[EventBatch, None]:
        """Go through everything behind a cursor (None: from now on), with no gap and none twice.

        A page of what is new is one object for all who watch; `take` gets it without a task being
        woken, where it can. Ends when the hub is closed, or when whoever watches is too slow: it
        goes on from its cursor later. Waits: for events.
        """
        watcher = Subscriber()
        self._join(watcher)
        try:
            await (
                self._is_live.wait()
            )  # else what comes between our last look and its first is lost
            last = after or await self._feed.newest()
            while events := await self._feed.read(last):
                yield EventBatch(events)
                last = events[-1].cursor
            while True:
                if take is not None:
                    watcher.take_at_once(take, last)
                if (pushed := await watcher.receive()) is None:
                    return
                if (fresh := pushed.behind(last)) is not None:
                    yield fresh
                    last = fresh.end
        finally:
            self._watchers.discard(watcher)
            watcher.leave()

    def _join(self, watcher: Subscriber) -> None:
        if self._is_closed:
            watcher.close()
        self._watchers.add(watcher)
        self._has_watchers.set()
        self._has_watchers = anyio.Event()

    def close(self) -> None:
        """End all who watch."""
        self._is_closed = True
        self._is_live.set()
        for watcher in self._watchers:
            watcher.close()


def _happened(row: Row) -> LoggedEvent:
    cursor = Cursor(row["era"], int(row["xid"]), row["id"])
    return LoggedEvent(
        cursor=cursor,
        id=row["id"],
        type=row["type"],
        at=row["at"],
        subject=row["subject"],
        version=row["version"],
        run_id=row["run_id"],
        payload=row["payload"],
    )
