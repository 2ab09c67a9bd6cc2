"""Notifications as their reader sees them."""

from typing import Any

import anyio
from leadflood.engine.clock import REAL_TIME

from tests.support.api import Client


async def next_notification(user: Client, kind: str) -> dict[str, Any]:
    """Wait for a notification of a kind: others may come from what ran before."""
    with anyio.fail_after(10):
        while True:
            for notification in (await user.get("/v1/notifications")).json["data"]:
                if notification["kind"] == kind:
                    return dict(notification)
            await REAL_TIME.sleep(0.05)  # more often, and the user's requests run out
