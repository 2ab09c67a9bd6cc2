"""The WebSocket side of `/v1/events`: resumable, with no gap; who is too slow is let go.

A page of events is encoded once and written as the same bytes to all who are shown the same: the
frames of a server carry no mask. What only a stream tells (`run.progress`, `stream.position`) can
always be asked for by GET.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Final, Literal
from urllib.parse import urlsplit
from uuid import UUID

import anyio
import anyio.abc
import msgspec
from aiohttp import WSCloseCode, WSMsgType, web

from leadflood.api.http.cors import allowed_origin
from leadflood.api.http.event_permissions import View
from leadflood.api.http.event_views import EventQuery, show
from leadflood.api.http.platform import Platform
from leadflood.api.http.problems import HttpRefused
from leadflood.api.http.settings import Settings
from leadflood.domain.auth.schemas import Permission, Principal
from leadflood.domain.auth.service.lead_ownership import LeadOwnership
from leadflood.domain.runs.schemas import Funnel
from leadflood.domain.runs.service.reports import RunReports
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.db.tx import sqlstate_of
from leadflood.engine.errors import LeadfloodError, Throttled, Transient
from leadflood.engine.obs.event_feed import Cursor, EventBatch, EventHub, LoggedEvent
from leadflood.engine.obs.log import log
from leadflood.engine.obs.metrics import RouteMetrics
from leadflood.engine.queue import runs

PING_SECONDS = 30.0
SEND_SECONDS = 10.0
LOOK_SECONDS = 1.0
CHECK_SECONDS = 15.0
PROGRESS_REST_RATIO = 10
"""Counting a run takes at most a tenth of the time."""
MOST_HEARD_BYTES = 4_096
MOST_UNREAD_BYTES = 1_000_000
SLOW = WSCloseCode.TRY_AGAIN_LATER
NO_LONGER = 4401
PROGRESS: Final = "run.progress"
POSITION: Final = "stream.position"
_EXTENDED_16, _EXTENDED_64 = 126, 127
_MOST_16 = 0xFFFF

Recheck = Callable[[], Awaitable[Principal]]


class RunProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a run is, as `GET /v1/discovery/runs/{id}` counts it."""

    state: str
    progress: Funnel


class Note(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What only a stream tells; `cursor` is where to go on, null before the first event.

    `run.progress`: how far the run asked for is, at most once a second. `stream.position`: events
    that were not for this listener have passed.
    """

    type: Literal["run.progress", "stream.position"]
    cursor: str | None
    at: datetime
    run_id: UUID | None = None
    payload: RunProgress | None = None


def is_upgrade(request: web.Request) -> bool:
    """Tell whether a client asks for a WebSocket."""
    return request.headers.get("Upgrade", "").lower() == "websocket"


def require_own_origin(request: web.Request, http: Settings) -> None:
    """Refuse pages of other sites: browsers ask nobody before they open a WebSocket.

    Raises: HttpRefused.
    """
    origin = request.headers.get("Origin")
    if origin is None or allowed_origin(request, http) is not None:
        return
    if urlsplit(origin).netloc != request.host:
        raise HttpRefused(
            HTTPStatus.FORBIDDEN, "http.origin.refused", "pages of other sites may not listen here"
        )


class Stream:
    """One listener: what he is shown, up to where, and whether he still may."""

    def __init__(
        self, socket: web.WebSocketResponse, request: web.Request, view: View, recheck: Recheck
    ) -> None:
        self.socket = socket
        self._transport = request.transport
        self.view = view
        self.recheck = recheck
        self.check_at = REAL_TIME.monotonic() + CHECK_SECONDS
        self.place: Cursor | None = None
        self.told_place: Cursor | None = None
        self.told_progress: RunProgress | None = None

    @property
    def cursor(self) -> str | None:
        """Where to go on; None: before the first event."""
        return None if self.place is None else self.place.write()

    @property
    def is_behind(self) -> bool:
        """Whether too much of what was written is unread."""
        return self._unread() > MOST_UNREAD_BYTES

    def write(self, frames: bytes) -> bool:
        """Write whole frames without waiting; False: nobody is there any more."""
        transport = self._transport
        if transport is None or transport.is_closing() or self.socket.closed:
            return False
        transport.write(frames)
        return True

    async def send(self, frames: bytes) -> bool:
        """Write frames and wait while too much is unread; False: it was not taken in time."""
        if not frames:
            return True
        if not self.write(frames):
            return False
        if not self.is_behind:
            return True
        with anyio.move_on_after(SEND_SECONDS):
            while self._unread() > MOST_UNREAD_BYTES // 2:
                await REAL_TIME.sleep(0.05)
            return True
        return False

    async def close(self, code: int, words: str) -> None:
        """Say farewell with the cursor; who does not listen is cut off."""
        text = f"{words}: go on from your cursor {self.cursor or ''}".rstrip()
        with anyio.move_on_after(SEND_SECONDS, shield=True):
            await self.socket.close(code=code, message=text.encode())
            return
        if self._transport is not None:
            self._transport.abort()

    def _unread(self) -> int:
        return 0 if self._transport is None else self._transport.get_write_buffer_size()


class Streams:
    """All who listen in this process; `run` must be running."""

    def __init__(self, platform: Platform, hub: EventHub, metrics: RouteMetrics) -> None:
        self._hub = hub
        self._metrics = metrics
        self._db = platform.db
        self._clock = platform.clock
        self._sight = LeadOwnership(self._db)
        self._reports = RunReports(self._db)
        self._open: set[Stream] = set()

    async def serve(
        self, request: web.Request, query: EventQuery, principal: Principal, recheck: Recheck
    ) -> web.StreamResponse:
        """Send all behind the cursor for as long as the client listens. Raises: CursorTooOld.

        Without a cursor: all that happens once the client is told that it listens.
        """
        after = query.position()
        if after is None:
            after = await self._hub.feed.newest()
        else:
            await self._hub.feed.check(after)
        # compressing would cost each listener hundreds of kilobytes
        socket = web.WebSocketResponse(
            heartbeat=PING_SECONDS, max_msg_size=MOST_HEARD_BYTES, compress=False
        )
        await socket.prepare(request)
        stream = Stream(socket, request, query.view_of(principal), recheck)
        self._open.add(stream)
        self._metrics.streams += 1
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._send_all, stream, after, group.cancel_scope)
                await _listen(socket)
                group.cancel_scope.cancel()
        finally:
            self._open.discard(stream)
            self._metrics.streams -= 1
        return socket

    async def run(self) -> None:
        """Look after the listeners: may they still, where are they, how far are their runs."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._check_for_ever, group)
            group.start_soon(self._count_for_ever)

    async def _send_all(self, stream: Stream, after: Cursor, scope: anyio.CancelScope) -> None:
        is_slow = False
        async with aclosing(self._hub.watch(after, partial(self._take, stream))) as pages:
            async for page in pages:
                if not await stream.send(await self._frames(page, stream.view)):
                    is_slow = True
                    break
                stream.place = page.end
            is_slow = is_slow or not self._hub.is_closed
        if is_slow:
            await stream.close(SLOW, "too slow")
        else:
            await stream.close(WSCloseCode.GOING_AWAY, "stopping")
        scope.cancel()

    def _take(self, stream: Stream, page: EventBatch) -> bool:
        """Write a page at once; False: its owners must be looked up, or the client is behind."""
        if stream.view.sees_owner is not None or stream.is_behind:
            return False
        frames = _frames_of(page, stream.view, {})
        if frames and not stream.write(frames):
            return False
        stream.place = page.end
        return True

    async def _frames(self, page: EventBatch, view: View) -> bytes:
        """Make the frames of a page for a view, once for all who have the same."""
        if view.sees_owner is None or view in page.shared:
            return _frames_of(page, view, {})
        return _frames_of(page, view, await self._owners(page))

    async def _owners(self, page: EventBatch) -> Mapping[UUID, str]:
        """Find whose the things of a page are, once for all who see only their own."""
        lock: anyio.Lock = page.shared.setdefault("owners lock", anyio.Lock())
        async with lock:
            if "owners" not in page.shared:
                subjects = {event.subject for event in page.events if event.subject is not None}
                page.shared["owners"] = await self._sight.find_owners(list(subjects))
        owners: Mapping[UUID, str] = page.shared["owners"]
        return owners

    async def _check_for_ever(self, group: anyio.abc.TaskGroup) -> None:
        while True:
            await REAL_TIME.sleep(LOOK_SECONDS)
            now = REAL_TIME.monotonic()
            for stream in [one for one in self._open if one.check_at <= now]:
                stream.check_at = now + CHECK_SECONDS
                if not await self._may_still(stream):
                    group.start_soon(stream.close, NO_LONGER, "you may listen no longer")
                elif stream.place != stream.told_place:
                    stream.told_place = stream.place
                    self._tell(stream, Note(
                        type=POSITION, cursor=stream.cursor, at=self._clock.now()
                    ))  # fmt: skip

    async def _may_still(self, stream: Stream) -> bool:
        """Ask whether a listener may go on, and what he is shown now."""
        try:
            principal = await stream.recheck()
        except (Throttled, Transient):
            return True
        except LeadfloodError:
            return False
        except Exception as error:
            if sqlstate_of(error) is None and not isinstance(error, TimeoutError):
                raise
            log.warning("events.check.delayed", error=str(error)[:200])
            return True
        stream.view = stream.view.of(principal)
        return Permission.EVENTS_READ in principal.permissions

    async def _count_for_ever(self) -> None:
        while True:
            began = REAL_TIME.monotonic()
            try:
                await self._count_runs()
            except Exception as error:
                if sqlstate_of(error) is None and not isinstance(error, TimeoutError):
                    raise
                log.warning("events.progress.delayed", error=str(error)[:200])
            took = REAL_TIME.monotonic() - began
            await REAL_TIME.sleep(max(LOOK_SECONDS, PROGRESS_REST_RATIO * took))

    async def _count_runs(self) -> None:
        """Tell who asked for a run how far it is, when that has changed; each run is asked once."""
        listening: dict[UUID, list[Stream]] = {}
        for stream in self._open:
            view = stream.view
            if view.run_id is not None and _may_hear_progress(view):
                listening.setdefault(view.run_id, []).append(stream)
        known = await runs.find(self._db, list(listening)) if listening else {}
        for run_id, run in known.items():
            funnel = await self._reports.count_funnel(run_id)
            told = RunProgress(state=run.state, progress=funnel)
            for stream in listening[run_id]:
                if stream.told_progress != told:
                    stream.told_progress = told
                    self._tell(stream, Note(
                        type=PROGRESS, cursor=stream.cursor, at=self._clock.now(), run_id=run_id,
                        payload=told,
                    ))  # fmt: skip

    def _tell(self, stream: Stream, note: Note) -> None:
        stream.write(frame(msgspec.json.encode(note)))


def _may_hear_progress(view: View) -> bool:
    return Permission.DISCOVERY_READ in view.permissions and view.wants_type(PROGRESS)


async def _listen(socket: web.WebSocketResponse) -> None:
    """Wait until the client leaves; what it says is not for us."""
    async for message in socket:
        if message.type is WSMsgType.ERROR:
            return


def _frames_of(page: EventBatch, view: View, owners: Mapping[UUID, str]) -> bytes:
    made = page.shared.get(view)
    if made is None:
        shown = [event for event in page.events if view.shows(event, owners)]
        made = page.shared[view] = b"".join([_frame_of(page, event) for event in shown])
    frames: bytes = made
    return frames


def _frame_of(page: EventBatch, event: LoggedEvent) -> bytes:
    made = page.shared.get(event.id)
    if made is None:
        made = page.shared[event.id] = frame(msgspec.json.encode(show(event)))
    text: bytes = made
    return text


def frame(text: bytes) -> bytes:
    """Make a whole text frame as a server sends it (RFC 6455, 5.2)."""
    size = len(text)
    if size < _EXTENDED_16:
        return bytes((0x81, size)) + text
    if size <= _MOST_16:
        return bytes((0x81, _EXTENDED_16)) + size.to_bytes(2, "big") + text
    return bytes((0x81, _EXTENDED_64)) + size.to_bytes(8, "big") + text
