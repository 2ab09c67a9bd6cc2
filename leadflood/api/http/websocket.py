"""WebSocket: the streaming side of `/v1/events`, resumable without a gap; slow clients are closed.

A page of events is encoded once and written as the same bytes to all who get the same. What only a
stream sends (`run.progress`, `stream.position`) can always be asked for by GET.
"""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from functools import partial
from http import HTTPStatus
from uuid import UUID

import anyio
import anyio.abc
import msgspec
from aiohttp import WSCloseCode, WSMsgType, web

from leadflood.api.http.cors import allowed_origin
from leadflood.api.http.event_permissions import (
    NO_OWNERS,
    EventFilter,
    EventOwners,
    find_owners,
)
from leadflood.api.http.event_views import EventQuery, show
from leadflood.api.http.platform import Platform
from leadflood.api.http.problems import HttpRefused
from leadflood.api.http.settings import Settings
from leadflood.api.http.websocket_subscription import EventSubscription, Recheck, RunProgress, frame
from leadflood.domain.auth.schemas.principals import Principal
from leadflood.domain.auth.schemas.roles import Permission
from leadflood.domain.runs.service.reports import RunReports
from leadflood.engine.bulkhead import Bulkhead, Load
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.db.tx import sqlstate_of
from leadflood.engine.errors import LeadfloodError, Throttled, Transient
from leadflood.engine.obs.event_feed import Cursor, EventBatch, EventHub, LoggedEvent
from leadflood.engine.obs.log import log
from leadflood.engine.obs.metrics import RouteMetrics
from leadflood.engine.queue import runs

PING_SECONDS = 30.0
POLL_SECONDS = 1.0
CHECK_SECONDS = 15.0
"""How late a change of rights on another node ends a stream; one of this node within a poll."""
PROGRESS_REST_RATIO = 10
"""Counting a run takes at most a tenth of the time."""
MAX_MESSAGE_BYTES = 4_096
RETRY_SECONDS = 10.0
SLOW_CLIENT = WSCloseCode.TRY_AGAIN_LATER
NO_LONGER_ALLOWED = 4401


def is_upgrade(request: web.Request) -> bool:
    """Whether a client asks for a WebSocket."""
    return request.headers.get("Upgrade", "").lower() == "websocket"


def require_own_origin(request: web.Request, http: Settings) -> None:
    """Refuse pages of other sites: browsers ask nobody before they open a WebSocket.

    Raises: HttpRefused.
    """
    origin = request.headers.get("Origin")
    if origin is None or allowed_origin(request, http) is not None:
        return
    if origin.partition("://")[2] != request.host:
        raise HttpRefused(
            HTTPStatus.FORBIDDEN, "http.origin.refused", "pages of other sites may not listen here"
        )


class StreamLimits(msgspec.Struct, frozen=True):
    """How many streams may be open in all, and of one user, by whichever credential."""

    in_all: int
    per_user: int


class EventStreams:
    """All event streams of this process; `run` must be running."""

    def __init__(
        self, platform: Platform, hub: EventHub, metrics: RouteMetrics, limits: StreamLimits
    ) -> None:
        self._hub = hub
        self._limits = limits
        self._credentials = platform.accounts.use.credentials
        self._places = Bulkhead(limits.in_all, limits.per_user)
        self._metrics = metrics
        self._db = platform.db
        self._clock = platform.clock
        self._reports = RunReports(self._db)
        self._open: set[EventSubscription] = set()

    async def serve(
        self, request: web.Request, query: EventQuery, principal: Principal, recheck: Recheck
    ) -> web.StreamResponse:
        """Send all events behind the cursor until the client leaves.

        Without a cursor: all that happens once the client knows that it listens.
        Raises: CursorTooOld, Throttled where too many streams are open.
        """
        with self._places.hold(principal.counted_as, self._refuse):
            return await self._serve(request, query, principal, recheck)

    def _refuse(self, load: Load) -> Throttled:
        if load.is_own_full:
            return _too_many(f"you have {self._limits.per_user} event streams open")
        return _too_many(f"{self._limits.in_all} event streams are open")

    async def _serve(
        self, request: web.Request, query: EventQuery, principal: Principal, recheck: Recheck
    ) -> web.StreamResponse:
        after = await self._start_of(query)
        # compressing would cost each listener hundreds of kilobytes
        socket = web.WebSocketResponse(
            heartbeat=PING_SECONDS, max_msg_size=MAX_MESSAGE_BYTES, compress=False
        )
        await socket.prepare(request)
        event_filter = query.filter_for(principal)
        subscription = EventSubscription(socket, request, event_filter, recheck)
        async with self._registered(subscription), anyio.create_task_group() as group:
            group.start_soon(self._send_all, subscription, after, group.cancel_scope)
            await _wait_for_close(socket)
            group.cancel_scope.cancel()
        return socket

    async def run(self) -> None:
        """Keep the streams: check their listeners' rights, send positions and progress."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._check_forever, group)
            group.start_soon(self._count_forever)

    async def _start_of(self, query: EventQuery) -> Cursor:
        after = query.position()
        if after is None:
            return await self._hub.feed.newest()
        await self._hub.feed.check(after)
        return after

    @asynccontextmanager
    async def _registered(self, subscription: EventSubscription) -> AsyncIterator[None]:
        subscription.check_at = REAL_TIME.monotonic() + CHECK_SECONDS
        self._open.add(subscription)
        self._metrics.streams += 1
        try:
            yield
        finally:
            self._open.discard(subscription)
            self._metrics.streams -= 1

    async def _send_all(
        self, subscription: EventSubscription, after: Cursor, scope: anyio.CancelScope
    ) -> None:
        is_slow = False
        write_page = partial(self._write_page, subscription)
        async with aclosing(self._hub.watch(after, write_page)) as pages:
            async for page in pages:
                if not await subscription.send(await self._frames_for(page, subscription.filter)):
                    is_slow = True
                    break
                subscription.position = page.end
            is_slow = is_slow or not self._hub.is_closed
        if is_slow:
            await subscription.close(SLOW_CLIENT, "too slow")
        else:
            await subscription.close(WSCloseCode.GOING_AWAY, "stopping")
        scope.cancel()

    def _write_page(self, subscription: EventSubscription, page: EventBatch) -> bool:
        """Write a page at once; False: its owners must be looked up, or the client is behind."""
        if subscription.filter.needs_owners or subscription.is_behind:
            return False
        frames = _encode_page(page, subscription.filter, NO_OWNERS)
        if frames and not subscription.write(frames):
            return False
        subscription.position = page.end
        return True

    async def _frames_for(self, page: EventBatch, event_filter: EventFilter) -> bytes:
        """Return the frames of a page for a filter, encoded once for all with an equal one."""
        if not event_filter.needs_owners or event_filter in page.shared:
            return _encode_page(page, event_filter, NO_OWNERS)
        return _encode_page(page, event_filter, await self._owners_of(page))

    async def _owners_of(self, page: EventBatch) -> EventOwners:
        """Find the owners of a page's subjects, once for all listeners."""
        lock: anyio.Lock = page.shared.setdefault("owners lock", anyio.Lock())
        async with lock:
            if "owners" not in page.shared:
                page.shared["owners"] = await find_owners(self._db, page.events)
        owners: EventOwners = page.shared["owners"]
        return owners

    async def _check_forever(self, group: anyio.abc.TaskGroup) -> None:
        epoch = self._credentials.epoch
        while True:
            await REAL_TIME.sleep(POLL_SECONDS)
            now = REAL_TIME.monotonic()
            have_rights_changed = epoch != self._credentials.epoch
            epoch = self._credentials.epoch
            for subscription in list(self._open):
                is_due = subscription.check_at <= now
                if is_due:
                    subscription.check_at = now + CHECK_SECONDS
                if not (is_due or have_rights_changed):
                    continue
                if not await self._may_continue(subscription):
                    reason = "you may listen no longer"
                    group.start_soon(subscription.close, NO_LONGER_ALLOWED, reason)
                elif is_due:
                    subscription.notify_position(self._clock.now())

    async def _may_continue(self, subscription: EventSubscription) -> bool:
        """Check whether a listener may go on, and renew the rights in its filter."""
        try:
            principal = await subscription.recheck()
        except (Throttled, Transient):
            return True
        except LeadfloodError:
            return False
        except Exception as error:
            if not _is_outage(error):
                raise
            log.warning("http.websocket.check_delayed", error=str(error)[:200])
            return True
        subscription.filter = subscription.filter.with_rights_of(principal)
        return Permission.EVENTS_READ in principal.permissions

    async def _count_forever(self) -> None:
        while True:
            started_at = REAL_TIME.monotonic()
            try:
                await self._send_progress()
            except Exception as error:
                if not _is_outage(error):
                    raise
                log.warning("http.websocket.progress_delayed", error=str(error)[:200])
            took_seconds = REAL_TIME.monotonic() - started_at
            await REAL_TIME.sleep(max(POLL_SECONDS, PROGRESS_REST_RATIO * took_seconds))

    async def _send_progress(self) -> None:
        """Send how far runs are where that has changed; each run is counted once."""
        by_run: dict[UUID, list[EventSubscription]] = {}
        for subscription in self._open:
            run_id = subscription.filter.run_id
            if run_id is not None and subscription.filter.follows_run:
                by_run.setdefault(run_id, []).append(subscription)
        states = await runs.find(self._db, list(by_run)) if by_run else {}
        for run_id, run in states.items():
            listeners = [
                subscription
                for subscription in by_run[run_id]
                if subscription.filter.visibility.allows_run(run)
            ]
            if not listeners:
                continue
            funnel = await self._reports.count_funnel(run_id)
            progress = RunProgress(state=run.state, progress=funnel)
            for subscription in listeners:
                subscription.notify_progress(progress, self._clock.now())


async def _wait_for_close(socket: web.WebSocketResponse) -> None:
    """Wait until the client leaves; its messages are ignored."""
    async for message in socket:
        if message.type is WSMsgType.ERROR:
            return


def _too_many(what: str) -> Throttled:
    return Throttled(
        f"{what}, which is the most: close one, or ask GET /v1/events now and then",
        RETRY_SECONDS,
        code="events.streams.too_many",
    )


def _is_outage(error: Exception) -> bool:
    """Whether the database is away or slow: no reason to close a stream."""
    return sqlstate_of(error) is not None or isinstance(error, TimeoutError)


def _encode_page(page: EventBatch, event_filter: EventFilter, owners: EventOwners) -> bytes:
    frames: bytes | None = page.shared.get(event_filter)
    if frames is None:
        events = [event for event in page.events if event_filter.passes(event, owners)]
        frames = b"".join([_encode_event(page, event) for event in events])
        page.shared[event_filter] = frames
    return frames


def _encode_event(page: EventBatch, event: LoggedEvent) -> bytes:
    frames: bytes | None = page.shared.get(event.id)
    if frames is None:
        frames = page.shared[event.id] = frame(msgspec.json.encode(show(event)))
    return frames
