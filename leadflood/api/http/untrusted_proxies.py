"""Peers that forward for others and are not trusted: all whom they forward for share one address.

`doctor` names them: most likely they are a proxy of ours that `http.trusted_proxies` leaves out.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from leadflood.api.http.client_address import MOST_PEERS
from leadflood.api.http.idempotency import SQL
from leadflood.engine.db.tx import Reader

RECENT = timedelta(days=1)


class UntrustedProxy(msgspec.Struct, frozen=True):
    """A peer that sent requests with forwarding headers: how many, and when the last."""

    peer: str
    requests: int
    seen_at: datetime


async def record_proxies(db: Reader, requests: Mapping[str, int], now: datetime) -> None:
    """Store which peers forwarded; the latest few are kept."""
    if requests:
        await db.execute(
            SQL.record_proxies, peers=list(requests), requests=list(requests.values()), now=now
        )
        await db.execute(SQL.trim_proxies, limit=MOST_PEERS)


async def list_proxies(db: Reader, now: datetime) -> list[UntrustedProxy]:
    """List the peers that forwarded within a day, the busiest first."""
    rows = await db.fetch(SQL.list_proxies, since=now - RECENT)
    return [UntrustedProxy(**dict(row.items())) for row in rows]
