"""Where the API listens, and who may reach it there."""

import ipaddress

import msgspec

from leadflood.api.http.rate_limit import Settings as Rates


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the API listens.

    `token` is optional, for operators and their scripts: who sends it may do everything and is
    nobody's user. People log in, other scripts take API keys.

    `public_url` is how the outside reaches us: it makes one-click unsubscribe links.
    `cors_origins` are the sites whose pages may ask us (`https://app.example`).
    `read_seconds`: how long a client may take to send a body; `request_seconds`: how long an
    answer may take; `idle_seconds`: how long a connection may stand without a whole request.
    `trusted_proxies` are the addresses or networks of proxies whose X-Forwarded-For, Forwarded and
    X-Forwarded-Proto are believed; `rates`: how often one may ask.
    `import_bytes`, `import_seconds`: how large a file may be, and how long all of it may take.
    `connections`: how many may be open at once (fewer, where the process may open fewer files),
    `connections_per_address` of one address (of one IPv6 network of /64; proxies have no such
    limit, event streams do not count); the longest idle one ends first, and a body that is still
    arriving is idle.
    `streams`, `streams_per_user`: how many event streams may be open, in all and of one user.
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
    connections: int = 4_096
    connections_per_address: int = 64
    streams: int = 2_000
    streams_per_user: int = 20
    trusted_proxies: tuple[str, ...] = ()
    rates: Rates = Rates()


def warning_of(settings: Settings) -> str:
    """Return what is unsafe about how the API listens; empty: nothing known."""
    if is_loopback(settings.host) or settings.trusted_proxies:
        return ""
    return (
        f"http.host is {settings.host} and no http.trusted_proxies are set: passwords and tokens"
        " cross the network unencrypted unless something before us speaks TLS"
    )


def is_loopback(host: str) -> bool:
    """Whether an address can only be reached from this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
