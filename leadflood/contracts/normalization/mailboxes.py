"""Mailboxes: the spellings of an address that one inbox receives have one key.

A key is what is remembered and compared: whom a first message went to, who said stop. It is never
written to: a person is written to as they write themselves.
"""

import unicodedata
from functools import lru_cache

from email_validator import EmailNotValidError
from email_validator.syntax import validate_email_domain_name

from leadflood.contracts.addresses import normalize_address, normalize_email
from leadflood.contracts.values import Channel

_GMAIL = "gmail.com"
_SAME_SERVICE = {"googlemail.com": _GMAIL}
"""Domains whose mailboxes are those of another one (support.google.com/mail/answer/10313)."""
_IGNORES_DOTS = frozenset({_GMAIL})
"""Domains that deliver ada.berg@ and adaberg@ into one inbox (…/answer/7436150)."""


def contact_key(channel: Channel, address: str) -> str:
    """Return the key of who reads an address: a mailbox, or a phone. Raises: Invalid."""
    if channel is Channel.EMAIL:
        return mailbox_key(address)
    return normalize_address(channel, address)


@lru_cache(maxsize=8192)
def mailbox_key(address: str) -> str:
    """Return the key of the mailbox that an address is of. Raises: Invalid.

    Case, width and the domain's script are folded and a plus tag is cut, whatever the domain; dots
    count nothing at Gmail.
    """
    folded = unicodedata.normalize("NFKC", address)
    local, _, written = normalize_email(folded).rpartition("@")
    domain = _ascii_domain(folded.rpartition("@")[2]) or written
    domain = _SAME_SERVICE.get(domain, domain)
    name = local.partition("+")[0] or local
    if domain in _IGNORES_DOTS:
        name = name.replace(".", "") or name
    return f"{name}@{domain}"


def _ascii_domain(text: str) -> str | None:
    """Return a domain as DNS knows it today (IDNA 2008); None where it cannot be one."""
    domain = text.strip().strip(".")
    if domain.isascii():
        return domain.casefold()
    try:
        return str(validate_email_domain_name(domain.lower())["ascii_domain"])
    except (EmailNotValidError, ValueError):
        return None
