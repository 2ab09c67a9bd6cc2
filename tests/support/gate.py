"""A gate that only calls: for tests of adapters, where money and limits are not the question."""

from collections.abc import Mapping, Sequence
from uuid import UUID, uuid4

import aiohttp
from leadflood.engine.errors import Unsure
from leadflood.engine.net.call import (
    BulkReply,
    Call,
    Cut,
    HttpReply,
    Item,
    Reply,
    Send,
    SendBulk,
    Unreached,
)
from typing_extensions import override


class DirectGate:
    """Calls `send` with a fresh reference, keeps what it saw, and tells a cut effect as Unsure."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.references: list[UUID] = []
        self.replies: list[Reply] = []
        self.bulk: list[BulkReply] = []
        self.errors: list[BaseException] = []

    async def call(self, call: Call, send: Send) -> Reply:
        self.calls.append(call)
        self.references.append(uuid4())
        try:
            reply = await send(self.references[-1])
        except Cut as error:
            self.errors.append(error)
            if call.effect:
                raise Unsure(error.detail) from error
            raise
        except Exception as error:
            self.errors.append(error)
            raise
        self.replies.append(reply)
        return reply

    async def call_bulk(self, call: Call, items: Sequence[Item], send: SendBulk) -> Sequence[Reply]:
        self.calls.append(call)
        self.references.append(uuid4())
        reply = await send(self.references[-1], items)
        assert len(reply.items) == len(items)
        self.bulk.append(reply)
        return reply.items


class CachedGate(DirectGate):
    """Answers every call from the last real answer, marked as kept."""

    def __init__(self, kept: Reply) -> None:
        super().__init__()
        self._kept = kept

    @override
    async def call(self, call: Call, send: Send) -> Reply:
        self.calls.append(call)
        return self._kept


class PlainHttp:
    """One aiohttp session; the product's own client is tested where it lives."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_seconds: float = 30.0,
    ) -> HttpReply:
        try:
            async with self._session.request(
                method,
                url,
                headers=headers,
                params=params,
                data=body,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=timeout_seconds),
            ) as answer:
                read = await answer.read()
                lower = {name.lower(): value for name, value in answer.headers.items()}
                return HttpReply(answer.status, lower, read)
        except aiohttp.ClientConnectorError as error:
            raise Unreached(str(error)) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Cut(str(error) or "timed out") from error
