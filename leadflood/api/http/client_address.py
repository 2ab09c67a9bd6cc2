"""Where a request comes from: the peer, or whom a trusted proxy names.

`Forwarded` (RFC 7239) and `X-Forwarded-*` are believed from the proxies of `http.trusted_proxies`
only. Each proxy adds the address it saw at the right end, so the first one from the right that is
no proxy of ours is the client; what stands further left may be made up. A proxy that writes one of
the two headers lets the other through as the client sent it: where they name different clients,
neither is believed.
"""

import ipaddress
import re
from collections.abc import Mapping
from functools import lru_cache

import msgspec
from aiohttp import web

from leadflood.engine.errors import FieldProblem, Invalid

IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
_WITH_PORT = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+))(?::[0-9]{1,5})?")
MOST_HOPS = 32
MOST_PEERS = 20


class Origin(msgspec.Struct, frozen=True):
    """The client's address, and whether it reached us or our proxy by TLS."""

    address: str
    is_secure: bool = False


ORIGIN = web.RequestKey("origin", Origin)


def address_of(request: web.BaseRequest) -> str:
    """Return the client's address: for limits, audit, sessions and logs alike."""
    return request[ORIGIN].address


class UntrustedPeers:
    """The peers seen since they were last taken, a few at most."""

    def __init__(self) -> None:
        self._requests: dict[str, int] = {}

    def note(self, peer: str) -> None:
        """Count a request of a peer."""
        if peer in self._requests or len(self._requests) < MOST_PEERS:
            self._requests[peer] = self._requests.get(peer, 0) + 1

    def take(self) -> Mapping[str, int]:
        """Return how many requests each peer sent, and begin anew."""
        requests, self._requests = self._requests, {}
        return requests


class Proxies:
    """Knows which peers are proxies of ours."""

    def __init__(self, trusted: tuple[str, ...]) -> None:
        self._networks = tuple(_network(text) for text in trusted)
        self.untrusted = UntrustedPeers()

    def origin_of(self, request: web.BaseRequest) -> Origin:
        """Return where a request comes from."""
        peer = plain(request.remote or "")
        headers = request.headers
        if not self.is_trusted(peer):
            if "X-Forwarded-For" in headers or "Forwarded" in headers:
                self.untrusted.note(peer)
            return Origin(peer, request.secure)
        forwarded = _elements(headers.getall("Forwarded", []))
        classic = _split(headers.getall("X-Forwarded-For", []))
        clients = [self._client(hops, peer) for hops in (_fors(forwarded), classic) if hops]
        address = clients[0] if clients and len(set(clients)) == 1 else peer
        proto = _split(headers.getall("X-Forwarded-Proto", [])) or _named(forwarded, "proto")
        return Origin(address, proto[-1].lower() == "https" if proto else request.secure)

    def _client(self, hops: list[str], peer: str) -> str:
        """Find the first from the right that is none of ours."""
        client = peer
        for hop in reversed(hops[-MOST_HOPS:]):
            address = _read(hop)
            if address is None:
                return client
            client = address
            if not self.is_trusted(address):
                return client
        return client

    def is_trusted(self, address: str) -> bool:
        """Whether an address is that of a proxy of ours."""
        return bool(self._networks) and _is_in(address, self._networks)


@lru_cache(maxsize=4096)
def bucket_of(address: str) -> str:
    """Return what an address is counted under: an IPv6 customer has a whole /64."""
    parsed = _parse(address)
    if parsed is None or parsed.version == 4:  # noqa: PLR2004 - the Internet Protocol's version
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False).network_address)


@lru_cache(maxsize=4096)
def plain(address: str) -> str:
    """Write an address one way: without zone, IPv4 also where a socket shows it as IPv6."""
    parsed = _parse(address)
    return address if parsed is None else str(parsed)


@lru_cache(maxsize=4096)
def _is_in(address: str, networks: tuple[IpNetwork, ...]) -> bool:
    parsed = _parse(address)
    return parsed is not None and any(parsed in network for network in networks)


def _parse(address: str) -> IpAddress | None:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed


def _network(text: str) -> IpNetwork:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise Invalid(
            f"http.trusted_proxies: {text!r} is no address or network such as 10.0.0.0/8",
            (FieldProblem("http.trusted_proxies", str(error)),),
            code="http.proxies.invalid",
        ) from error


def _read(hop: str) -> str | None:
    """Read `1.2.3.4`, `1.2.3.4:5`, `[2001:db8::1]:5` or a bare IPv6 address."""
    match = _WITH_PORT.fullmatch(hop)
    parsed = _parse((match[1] or match[2]) if match else hop)
    return None if parsed is None else str(parsed)


def _split(values: list[str]) -> list[str]:
    return [part.strip() for value in values for part in value.split(",") if part.strip()]


def _elements(values: list[str]) -> list[dict[str, str]]:
    """Read `for=1.2.3.4;proto=https, for="[::1]"`: one element a hop."""
    return [
        {
            name.strip().lower(): value.strip().strip('"')
            for name, _, value in (pair.partition("=") for pair in element.split(";"))
        }
        for element in _split(values)
    ]


def _fors(elements: list[dict[str, str]]) -> list[str]:
    """List whom the hops name; one that names nobody ends the trust."""
    return [element.get("for", "unknown") for element in elements]


def _named(elements: list[dict[str, str]], name: str) -> list[str]:
    return [element[name] for element in elements if name in element]
