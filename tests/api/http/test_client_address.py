import time
from typing import Any

import anyio
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from hypothesis import given, strategies as st
from leadflood.api.http import server
from leadflood.api.http.client_address import (
    MOST_PEERS,
    ORIGIN,
    Origin,
    Proxies,
    UntrustedPeers,
    address_of,
    bucket_of,
    plain,
)
from leadflood.api.http.untrusted_proxies import list_proxies, record_proxies
from leadflood.app import Node
from leadflood.engine.clock import ManualClock
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import Invalid
from multidict import CIMultiDict

from tests.support.api import running_api

pytestmark = pytest.mark.pg
PROXY = "10.0.0.7"
PROXIES = Proxies(("10.0.0.0/8", "2001:db8:ffff::/48"))
EVIL = "6.6.6.6"


class Transport:
    """Knows one peer."""

    def __init__(self, peer: str) -> None:
        self._peer = peer

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return (self._peer, 4711) if name == "peername" else default


def asked(peer: str, *headers: tuple[str, str]) -> web.Request:
    return make_mocked_request("GET", "/", CIMultiDict(headers), transport=Transport(peer))


CASES: dict[str, tuple[str, tuple[tuple[str, str], ...], str]] = {
    "no header": (PROXY, (), PROXY),
    "one hop": (PROXY, (("X-Forwarded-For", "192.0.2.1"),), "192.0.2.1"),
    "made up on the left": (PROXY, (("X-Forwarded-For", f"{EVIL}, 192.0.2.1"),), "192.0.2.1"),
    "two proxies": (PROXY, (("X-Forwarded-For", "192.0.2.1, 10.0.0.9"),), "192.0.2.1"),
    "two headers": (
        PROXY,
        (("X-Forwarded-For", EVIL), ("X-Forwarded-For", "192.0.2.1")),
        "192.0.2.1",
    ),
    "not from a proxy": ("192.0.2.9", (("X-Forwarded-For", EVIL),), "192.0.2.9"),
    "with a port": (PROXY, (("X-Forwarded-For", "192.0.2.1:55"),), "192.0.2.1"),
    "IPv6 with a port": (PROXY, (("X-Forwarded-For", "[2001:db8::1]:55"),), "2001:db8::1"),
    "IPv6": (PROXY, (("X-Forwarded-For", "2001:DB8:0::1"),), "2001:db8::1"),
    "IPv4 shown as IPv6": ("::ffff:10.0.0.7", (("X-Forwarded-For", "192.0.2.1"),), "192.0.2.1"),
    "garbage": (PROXY, (("X-Forwarded-For", "192.0.2.1, ' OR 1=1"),), PROXY),
    "garbage behind a proxy": (PROXY, (("X-Forwarded-For", "x, 10.0.0.9"),), "10.0.0.9"),
    "only proxies": (PROXY, (("X-Forwarded-For", "10.1.1.1, 10.1.1.2"),), "10.1.1.1"),
    "RFC 7239": (PROXY, (("Forwarded", f"for={EVIL}, for=192.0.2.1;proto=https"),), "192.0.2.1"),
    "RFC 7239 with IPv6": (PROXY, (("Forwarded", 'FOR="[2001:db8::1]:4711"'),), "2001:db8::1"),
    "RFC 7239 hidden": (PROXY, (("Forwarded", "for=_secret"),), PROXY),
    "both agree": (
        PROXY,
        (("Forwarded", "for=192.0.2.1"), ("X-Forwarded-For", "192.0.2.1")),
        "192.0.2.1",
    ),
    "both differ": (PROXY, (("Forwarded", f"for={EVIL}"), ("X-Forwarded-For", "192.0.2.1")), PROXY),
}


@pytest.mark.parametrize("name", CASES)
def test_the_client_is_the_first_from_the_right_that_is_no_proxy_of_ours(name: str) -> None:
    peer, headers, address = CASES[name]

    assert PROXIES.origin_of(asked(peer, *headers)).address == address


def test_without_trusted_proxies_no_header_is_believed() -> None:
    request = asked(PROXY, ("X-Forwarded-For", EVIL), ("X-Forwarded-Proto", "https"))

    assert Proxies(()).origin_of(request) == Origin(PROXY, is_secure=False)


@pytest.mark.parametrize(
    ("header", "value", "is_secure"),
    [
        ("X-Forwarded-Proto", "https", True),
        ("X-Forwarded-Proto", "HTTPS", True),
        ("X-Forwarded-Proto", "http", False),
        ("X-Forwarded-Proto", "https, http", False),
        ("Forwarded", "for=192.0.2.1;proto=https", True),
        ("Forwarded", "for=192.0.2.1", False),
    ],
)
def test_a_proxy_says_whether_it_was_reached_by_tls(
    header: str,
    value: str,
    is_secure: bool,  # noqa: FBT001 - a row of the table
) -> None:
    request = asked(PROXY, (header, value))

    assert PROXIES.origin_of(request).is_secure == is_secure


@given(st.lists(st.text(alphabet='0123456789abcdef.:[]",;=for ', max_size=40), max_size=3))
def test_no_header_is_a_bug(values: list[str]) -> None:
    for header in ("Forwarded", "X-Forwarded-For", "X-Forwarded-Proto"):
        PROXIES.origin_of(asked(PROXY, *[(header, value) for value in values]))


@pytest.mark.parametrize("value", [f"for={' ' * 8_000}x y", ";" * 8_000, "for=" * 2_000])
def test_a_header_of_any_shape_is_read_in_no_time(value: str) -> None:
    """It is read before anybody is limited or known."""
    began = time.process_time()

    PROXIES.origin_of(asked(PROXY, *[("Forwarded", value)] * 3))

    assert time.process_time() - began < 0.2


@pytest.mark.parametrize("text", ["10.0.0.0/99", "proxy.example", ""])
def test_an_invalid_network_is_refused_at_the_start(text: str) -> None:
    with pytest.raises(Invalid, match="trusted_proxies"):
        Proxies((text,))


def test_addresses_are_normalized_and_counted_by_customer() -> None:
    assert plain("::ffff:192.0.2.1") == "192.0.2.1"
    assert plain("fe80::1%eth0") == "fe80::1"
    assert plain("") == ""
    assert bucket_of("2001:db8:1:2:3::4") == "2001:db8:1:2::"
    assert bucket_of("192.0.2.1") == "192.0.2.1"


def test_the_client_s_address_is_read_in_one_place() -> None:
    request = asked(PROXY)
    request[ORIGIN] = Origin("192.0.2.1")

    assert address_of(request) == "192.0.2.1"


async def test_an_answer_asks_browsers_to_stay_with_tls_only_where_they_used_it(
    node: Node,
) -> None:
    by_tls = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https"}
    async with running_api(node, trusted_proxies=("127.0.0.1",)) as api:
        secure = await api.get("/health", headers=by_tls)
        plain_text = await api.get("/health")
    async with running_api(node) as api:
        not_believed = await api.get("/health", headers=by_tls)

    assert secure.headers["Strict-Transport-Security"].startswith("max-age=")
    assert "Strict-Transport-Security" not in plain_text.headers
    assert "Strict-Transport-Security" not in not_believed.headers


async def test_a_peer_that_forwards_without_being_trusted_is_on_record(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `doctor` reads: everybody behind such a peer shares one address."""
    monkeypatch.setattr(server, "PROXIES_SECONDS", 0.05)
    async with running_api(node) as api:
        for header in ("X-Forwarded-For", "Forwarded"):
            await api.get("/health", headers={header: "for=192.0.2.1"})
        await api.get("/health")
        with anyio.fail_after(20):
            while not (seen := await list_proxies(node.storage.db, node.storage.clock.now())):
                await anyio.lowlevel.checkpoint()

    assert [(proxy.peer, proxy.requests) for proxy in seen] == [("127.0.0.1", 2)]


async def test_only_the_latest_forwarding_peers_are_kept(database: Database) -> None:
    clock = ManualClock()
    for number in range(3 * MOST_PEERS):
        clock.advance(1)
        await record_proxies(database, {f"10.0.0.{number}": 1}, clock.now())

    assert len(await list_proxies(database, clock.now())) == MOST_PEERS
    peers = UntrustedPeers()
    for number in range(3 * MOST_PEERS):
        peers.note(f"10.0.0.{number}")
    assert len(peers.take()) == MOST_PEERS
    assert not peers.take()
