"""Shared hosts: the places on the web that belong to many, and the pages that companies have there.

Social networks, site builders, shorteners, listings, archives: `config/words/shared_hosts.txt`.
"""

from collections.abc import Iterator
from functools import cache
from urllib.parse import parse_qsl, urlencode

import msgspec

from leadflood.contracts.word_files import read_lines

_MARK_OF_REGISTRY = "!"
_SAYS_NOTHING = ("www.", "m.", "mobile.", "touch.")
_NAMING = frozenset({"biz", "cid", "id", "place_id", "q", "query", "story_fbid", "u", "url"})
"""Parameters of a query without which an address is another page's, or nobody's."""


class _Lists(msgspec.Struct, frozen=True):
    """Hosts that are shared whole, shared paths by host, and suffixes that are registries."""

    hosts: frozenset[str]
    paths: dict[str, tuple[str, ...]]
    registries: frozenset[str]


@cache
def _lists() -> _Lists:
    lines = read_lines("shared_hosts.txt")
    paths: dict[str, tuple[str, ...]] = {}
    for line in lines:
        host, slash, path = line.partition("/")
        if slash:
            paths[host] = (*paths.get(host, ()), f"/{path}")
    return _Lists(
        hosts=frozenset(line for line in lines if "/" not in line and line[0] != _MARK_OF_REGISTRY),
        paths=paths,
        registries=frozenset(
            line[1:].encode("idna").decode() for line in lines if line[0] == _MARK_OF_REGISTRY
        ),
    )


_LISTS = _lists()  # read once, when the program starts: later it would hold up the event loop


def shared_part(host: str, path: str) -> str | None:
    """Return the shared host that a host is or stands below; None: it is not on the list."""
    for part in _ends_of(host):
        if part in _LISTS.hosts or path.startswith(_LISTS.paths.get(part, ("\0",))):
            return part
    return None


def is_registry(suffix: str) -> bool:
    """Whether companies register names of their own below a private suffix (`uk.com`)."""
    return suffix in _LISTS.registries


def page_address(host: str, path: str, query: str, shared: str) -> str | None:
    """Return a page's one address; None where a shared host is named without a page on it."""
    place = path.rstrip("/")
    named = [(name, value) for name, value in parse_qsl(query) if name in _NAMING]
    bare_host = _bare(host)
    if not place and not named and bare_host == shared:
        return None
    return f"https://{bare_host}{place}{'?' if named else ''}{urlencode(named)}"


def _bare(host: str) -> str:
    for prefix in _SAYS_NOTHING:
        if host.startswith(prefix) and host.count(".") > 1:
            return host.removeprefix(prefix)
    return host


def _ends_of(host: str) -> Iterator[str]:
    yield host
    while "." in host:
        host = host.partition(".")[2]
        yield host
