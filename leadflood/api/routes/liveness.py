"""Whether the process lives."""

import msgspec

from leadflood.api.http.routing import get


class Alive(msgspec.Struct, frozen=True):
    """The process answers."""

    status: str = "ok"


@get("/health", is_open=True, rate="none")
async def health() -> Alive:
    """Show that the process lives; whether it can work is shown by /ready."""
    return Alive()
