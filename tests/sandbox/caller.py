"""Somebody who calls a pretend world, and ways to look at what it says."""

from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from leadflood.sandbox.world import Addresses

_SAMPLES = Path(__file__).parent / "samples"


class Reply(msgspec.Struct, frozen=True):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class Caller:
    """Calls a world with every key at hand."""

    def __init__(self, addresses: Addresses, session: aiohttp.ClientSession) -> None:
        self.at = addresses
        self._session = session

    async def call(
        self,
        method: str,
        url: str,
        body: Any = None,
        *,
        reference: str = "",
        key: str | None = None,
        params: dict[str, str] | None = None,
    ) -> Reply:
        headers = {"x-request-id": reference} if reference else {}
        async with self._session.request(
            method, url, json=body, headers=headers | self._key(url, key), params=params
        ) as response:
            raw = await response.read()
            lower = {name.lower(): value for name, value in response.headers.items()}
            return Reply(response.status, lower, raw)

    async def apollo(self, path: str, body: Any, **more: Any) -> Reply:
        return await self.call("POST", f"{self.at.apollo}/{path}", body, **more)

    async def hunter(self, path: str, **params: str) -> Reply:
        return await self.call("GET", f"{self.at.hunter}/{path}", params=params)

    async def admin(self, path: str) -> Any:
        return (await self.call("GET", f"{self.at.admin}/{path}")).json

    def _key(self, url: str, key: str | None) -> dict[str, str]:
        for name in ("apollo", "hunter", "pdl"):
            if f"/{name}/" in url:
                return {"x-api-key": key or f"sandbox-{name}-key"}
        for name in ("openai", "trengo"):
            if f"/{name}/" in url:
                return {"authorization": f"Bearer {key or f'sandbox-{name}-key'}"}
        return {}


def keys_of(value: Any, path: str = "") -> set[str]:
    """List every key of a JSON value with its path; lists count by what is in them."""
    if isinstance(value, dict):
        return {f"{path}.{key}" for key in value} | set().union(
            *(keys_of(item, f"{path}.{key}") for key, item in value.items())
        )
    if isinstance(value, list):
        return set().union(*(keys_of(item, f"{path}[]") for item in value))
    return set()


def sample(name: str) -> Any:
    """Read a documented answer."""
    return msgspec.json.decode((_SAMPLES / f"{name}.json").read_bytes())
