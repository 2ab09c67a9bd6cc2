"""The WebSocket side of `/v1/events`: resumable, with no gap; who is too slow is let go."""

from contextlib import aclosing
from http import HTTPStatus
from urllib.parse import urlsplit

import anyio
import msgspec
from aiohttp import WSCloseCode, WSMsgType, web

from leadflood.api.cors import allowed_origin
from leadflood.api.events import EventQuery, show
from leadflood.api.listening import Settings
from leadflood.api.problems import HttpRefused
from leadflood.engine.obs.feed import Cursor, Happened, Hub

PING_SECONDS = 30.0
SEND_SECONDS = 10.0
MOST_HEARD_BYTES = 4_096
SLOW = WSCloseCode.TRY_AGAIN_LATER


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


async def serve_stream(request: web.Request, query: EventQuery, hub: Hub) -> web.StreamResponse:
    """Send everything behind the cursor for as long as the client listens. Raises: CursorTooOld."""
    after = query.place()
    if after is not None:
        await hub.feed.check(after)
    socket = web.WebSocketResponse(heartbeat=PING_SECONDS, max_msg_size=MOST_HEARD_BYTES)
    await socket.prepare(request)
    async with anyio.create_task_group() as group:
        group.start_soon(_send_all, socket, query, hub, after, group.cancel_scope)
        await _listen(socket)
        group.cancel_scope.cancel()
    return socket


async def _listen(socket: web.WebSocketResponse) -> None:
    """Wait until the client leaves; what it says is not for us."""
    async for message in socket:
        if message.type is WSMsgType.ERROR:
            return


async def _send_all(
    socket: web.WebSocketResponse,
    query: EventQuery,
    hub: Hub,
    after: Cursor | None,
    scope: anyio.CancelScope,
) -> None:
    code, words = WSCloseCode.GOING_AWAY, b"go on from your cursor"
    async with aclosing(hub.watch(after)) as pages:
        async for page in pages:
            if not await _send(socket, [event for event in page if query.wants(event)]):
                code, words = SLOW, b"too slow: go on from your cursor"
                break
    with anyio.move_on_after(SEND_SECONDS):
        await socket.close(code=code, message=words)
    scope.cancel()


async def _send(socket: web.WebSocketResponse, events: list[Happened]) -> bool:
    """Send a page; False: the client did not take it in time, or is gone."""
    with anyio.move_on_after(SEND_SECONDS):
        try:
            for event in events:
                await socket.send_str(msgspec.json.encode(show(event)).decode())
        except ConnectionError:
            return False
        return True
    return False
