"""Where the API listens, and who may reach it there."""

import ipaddress

import msgspec

from leadflood.api.rates import Settings as Rates
from leadflood.engine.errors import FieldProblem, Invalid

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the API listens. Any address but 127.0.0.1 needs `token` until there are accounts.

    `public_url` is how the outside reaches us: it makes one-click unsubscribe links.
    `cors_origins` are the sites whose pages may ask us (`https://app.example`).
    `read_seconds`: how long a client may take to send a body; `request_seconds`: how long an
    answer may take; `idle_seconds`: how long a connection may stand without a whole request.
    `trusted_proxies` are the addresses or networks of proxies whose X-Forwarded-For, Forwarded and
    X-Forwarded-Proto are believed; `rates`: how often one may ask.
    `import_bytes`, `import_seconds`: how large a file may be, and how long all of it may take.
    """

    host: str = "127.0.0.1"
    port: int = 5050
    token: str = ""
    public_url: str = ""
    cors_origins: tuple[str, ...] = ()
    body_bytes: int = 1_000_000
    import_bytes: int = 50_000_000
    import_seconds: float = 300.0
    read_seconds: float = 10.0
    request_seconds: float = 30.0
    idle_seconds: float = 30.0
    trusted_proxies: tuple[str, ...] = ()
    rates: Rates = Rates()


def require_safe_binding(settings: Settings) -> None:
    """Refuse to be reachable from elsewhere without a token. Raises: Invalid."""
    if settings.token or is_loopback(settings.host):
        return
    raise Invalid(
        f"http.host is {settings.host}: anybody who reaches it could read leads and spend money;"
        " set http.token (LEADFLOOD_HTTP__TOKEN, or LEADFLOOD_HTTP__TOKEN_FILE), or listen on"
        " 127.0.0.1",
        (FieldProblem("http.token", "needed for every address but 127.0.0.1"),),
        code="http.token.missing",
    )


def is_loopback(host: str) -> bool:
    """Tell whether an address can only be reached from this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def name_in(host_header: str) -> str:
    """Tell the name in a Host header, without its port."""
    if host_header.startswith("["):
        return host_header.partition("]")[0] + "]"
    return host_header.partition(":")[0].lower()
