"""One listener of the event stream: its socket, its filter and its position.

Frames are written to the transport directly: those of a server carry no mask (RFC 6455, 5.1), so
the same bytes serve every listener.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

import anyio
import msgspec
from aiohttp import web

from leadflood.api.http.event_permissions import PROGRESS, EventFilter
from leadflood.domain.auth.schemas.principals import Principal
from leadflood.domain.runs.schemas import Funnel
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.obs.event_feed import Cursor

SEND_SECONDS = 10.0
MAX_UNREAD_BYTES = 1_000_000
POSITION: Final = "stream.position"
_EXTENDED_16, _EXTENDED_64 = 126, 127
_MAX_16 = 0xFFFF

Recheck = Callable[[], Awaitable[Principal]]
"""Returns a listener's rights now."""


class RunProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a run is, as the run itself shows it when it is asked for."""

    state: str
    progress: Funnel


class StreamNotice(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A message of the stream itself; `cursor` is where to go on, null before the first event.

    `run.progress`: how far the requested run is, at most once a second.
    `stream.position`: events that were not for this listener have passed.
    """

    type: Literal["run.progress", "stream.position"]
    cursor: str | None
    at: datetime
    run_id: UUID | None = None
    payload: RunProgress | None = None


class EventSubscription:
    """A listener. `check_at` is the time of the next look at its rights.

    `position` is the last event it got or passed; `sent_position` the last one it was sent.
    `sent_progress` is the last progress of its run that it was sent.
    """

    def __init__(
        self,
        socket: web.WebSocketResponse,
        request: web.Request,
        event_filter: EventFilter,
        recheck: Recheck,
    ) -> None:
        self.socket = socket
        self._transport = request.transport
        self.filter = event_filter
        self.recheck = recheck
        self.check_at = 0.0
        self.position: Cursor | None = None
        self.sent_position: Cursor | None = None
        self.sent_progress: RunProgress | None = None

    @property
    def cursor(self) -> str | None:
        """Where to go on; None: before the first event."""
        return None if self.position is None else self.position.write()

    @property
    def is_behind(self) -> bool:
        """Whether too much of what was written is unread."""
        return self._unread_bytes() > MAX_UNREAD_BYTES

    def write(self, frames: bytes) -> bool:
        """Write whole frames without waiting; False: the client is gone."""
        transport = self._transport
        if transport is None or transport.is_closing() or self.socket.closed:
            return False
        transport.write(frames)
        return True

    async def send(self, frames: bytes) -> bool:
        """Write frames and wait while too much is unread; False: the client is gone or too slow."""
        if not frames:
            return True
        if not self.write(frames):
            return False
        if not self.is_behind:
            return True
        with anyio.move_on_after(SEND_SECONDS):
            while self._unread_bytes() > MAX_UNREAD_BYTES // 2:
                await REAL_TIME.sleep(0.05)
            return True
        return False

    def notify_position(self, at: datetime) -> None:
        """Send where the stream stands, unless the listener knows."""
        if self.position != self.sent_position:
            self.sent_position = self.position
            self._notify(StreamNotice(type=POSITION, cursor=self.cursor, at=at))

    def notify_progress(self, progress: RunProgress, at: datetime) -> None:
        """Send how far the run is, unless the listener knows."""
        if self.sent_progress != progress:
            self.sent_progress = progress
            self._notify(
                StreamNotice(
                    type=PROGRESS,
                    cursor=self.cursor,
                    at=at,
                    run_id=self.filter.run_id,
                    payload=progress,
                )
            )

    async def close(self, code: int, reason: str) -> None:
        """Close with a reason and the cursor; abort the connection of a client that ignores it."""
        text = f"{reason}: go on from your cursor {self.cursor or ''}".rstrip()
        with anyio.move_on_after(SEND_SECONDS, shield=True):
            await self.socket.close(code=code, message=text.encode())
            return
        if self._transport is not None:
            self._transport.abort()

    def _notify(self, notice: StreamNotice) -> None:
        self.write(frame(msgspec.json.encode(notice)))

    def _unread_bytes(self) -> int:
        return 0 if self._transport is None else self._transport.get_write_buffer_size()


def frame(text: bytes) -> bytes:
    """Return a whole text frame as a server sends it (RFC 6455, 5.2)."""
    size = len(text)
    if size < _EXTENDED_16:
        return bytes((0x81, size)) + text
    if size <= _MAX_16:
        return bytes((0x81, _EXTENDED_16)) + size.to_bytes(2, "big") + text
    return bytes((0x81, _EXTENDED_64)) + size.to_bytes(8, "big") + text
