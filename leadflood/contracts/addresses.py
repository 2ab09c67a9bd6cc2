"""Addresses: the one form in which they are compared, and masked hints of them."""

import re

from leadflood.contracts.values import Channel
from leadflood.engine.errors import Invalid

_PLAIN = r"[^\s@<>(),;:\"\[\]\\\x00-\x1f\x7f]"
_MAILBOX = re.compile(rf"{_PLAIN}{{1,64}}@{_PLAIN}{{1,253}}")
_WRITTEN = re.compile(r"[^\s@<>'\"]{1,64}@[^\s@<>'\"]{1,253}")
MOST_DOMAIN_CHARS = 253
MOST_LABEL_CHARS = 63
_MAX_DOMAIN_LABELS = 8
_MIN_PHONE_DIGITS = 7


def normalize_address(channel: Channel, address: str) -> str:
    """Return an address in the form of its channel. Raises: Invalid."""
    if channel is Channel.EMAIL:
        return normalize_email(address)
    return normalize_phone(address)


def normalize_email(address: str) -> str:
    """Return an e-mail address in lower case: a mailbox is one person. Raises: Invalid."""
    if not _MAILBOX.fullmatch(address.strip()):
        raise Invalid.field("address", "write an e-mail address such as ada@example.com")
    local, _, domain = address.strip().rpartition("@")
    return f"{local.casefold()}@{normalize_domain(domain)}"


def normalize_phone(address: str) -> str:
    """Return a phone number as its digits behind a plus. Raises: Invalid."""
    digits = "".join(sign for sign in address if "0" <= sign <= "9")
    if len(digits) < _MIN_PHONE_DIGITS:
        raise Invalid.field("address", "write a phone number in international form, +31620000000")
    return "+" + digits.removeprefix("00")


def normalize_domain(domain: str) -> str:
    """Return a domain in lower-case ASCII, without a dot at its end."""
    plain = domain.strip().strip(".").casefold()
    try:
        return ascii_domain(plain)
    except ValueError:
        return plain


def ascii_domain(domain: str) -> str:
    """Return a domain as DNS knows it. Raises: ValueError when it cannot be one.

    One longer than DNS allows is not encoded: that takes seconds for a few thousand letters.
    """
    if len(domain) > MOST_DOMAIN_CHARS or max(map(len, domain.split("."))) > MOST_LABEL_CHARS:
        raise ValueError("it is longer than a domain can be (RFC 1035)")
    return domain.encode("idna").decode("ascii")


def list_domains(address: str) -> list[str]:
    """Return the domain of an address and those above it; none for a phone number."""
    domain = address.rpartition("@")[2] if "@" in address else ""
    labels = normalize_domain(domain).split(".")[-_MAX_DOMAIN_LABELS:] if domain else []
    return [".".join(labels[start:]) for start in range(len(labels))]


def mask_address(address: str) -> str:
    """Return just enough of an address for its owner to know it: `a***@e***.com`, `+31***42`."""
    local, at, domain = address.partition("@")
    if at:
        head, dot, top = domain.rpartition(".")
        return f"{local[:1]}***@{head[:1]}***{dot}{top}"
    if address.startswith("+"):
        return f"{address[:3]}***{address[-2:]}"
    head, dot, top = address.rpartition(".")
    return f"{head[:2]}***{dot}{top}" if dot else address


def mask_addresses(text: str) -> str:
    """Return a text with the e-mail addresses in it masked."""
    return _WRITTEN.sub(lambda match: mask_address(match[0]), text)
