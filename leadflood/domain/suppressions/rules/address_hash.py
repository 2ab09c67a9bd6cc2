"""Keyed hashes of addresses, unsubscribe tokens and masked hints: what is kept of a person.

The suppression list must outlive the person's data, so it holds HMAC-SHA256 only; without the
secret an address cannot be tried against a stolen list.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable
from uuid import UUID

from leadflood.contracts.values import Channel
from leadflood.domain.messaging.schemas import SuppressionKind
from leadflood.engine.errors import Invalid, NotConfigured

_PLAIN = r"[^\s@<>(),;:\"\[\]\\\x00-\x1f\x7f]"
_MAILBOX = re.compile(rf"{_PLAIN}{{1,64}}@{_PLAIN}{{1,253}}")
_TOKEN_BYTES = 24
_LONGEST_DOMAIN_LABELS = 8
_SHORTEST_PHONE = 7


class Keys:
    """Makes the keys of one installation from its secret."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode("utf-8", "surrogatepass")

    def of(self, kind: SuppressionKind, value: str) -> bytes:
        """Hash one normalised value under its kind."""
        return self._sign(f"{kind.value}:{value}")

    def of_address(self, channel: Channel, address: str) -> bytes:
        """Hash an address as this channel writes it."""
        return self.of(SuppressionKind.ADDRESS, normalise_address(channel, address))

    def of_lead(self, lead_id: UUID) -> bytes:
        """Hash a lead's id, which stops every channel to this person."""
        return self.of(SuppressionKind.LEAD, str(lead_id))

    def covering(self, channel: Channel, address: str, lead_ids: Iterable[UUID]) -> list[bytes]:
        """List every key whose suppression stops this address: itself, domains, channel, lead."""
        keys = [
            self.of_address(channel, address),
            self.of(SuppressionKind.CHANNEL, channel.value),
            *map(self.of_lead, lead_ids),
        ]
        keys.extend(self.of(SuppressionKind.DOMAIN, domain) for domain in domains_of(address))
        return keys

    def token_for(self, intent_id: UUID) -> str:
        """Make the unsubscribe token of an intent: unguessable, the same on every look."""
        signed = self._sign(f"unsubscribe:{intent_id}")
        return base64.urlsafe_b64encode(signed[:_TOKEN_BYTES]).decode("ascii")

    def _sign(self, value: str) -> bytes:
        if not self._secret:
            raise NotConfigured(
                "set messaging.hash_secret (any long random text; keep it for ever): it keys the "
                "suppression list and the unsubscribe links"
            )
        return hmac.digest(self._secret, value.encode("utf-8", "surrogatepass"), "sha256")


def hash_token(token: str) -> bytes:
    """Hash a token as it is stored; anything may come in."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def normalise_address(channel: Channel, address: str) -> str:
    """Write an address in the one form that is hashed."""
    if channel is Channel.EMAIL:
        return normalise_email(address)
    return normalise_phone(address)


def normalise_email(address: str) -> str:
    """Lower the case; a mailbox is one person whatever its case."""
    if not _MAILBOX.fullmatch(address.strip()):
        raise Invalid.field("address", "write an e-mail address such as ada@example.com")
    local, _, domain = address.strip().rpartition("@")
    return f"{local.casefold()}@{normalise_domain(domain)}"


def normalise_phone(address: str) -> str:
    """Keep the digits behind a plus: international form."""
    digits = "".join(sign for sign in address if "0" <= sign <= "9")
    if len(digits) < _SHORTEST_PHONE:
        raise Invalid.field("address", "write a phone number in international form, +31620000000")
    return "+" + digits.removeprefix("00")


def normalise_domain(domain: str) -> str:
    """Write a domain in lower case ASCII, without a dot at its end."""
    plain = domain.strip().strip(".").casefold()
    try:
        return plain.encode("idna").decode("ascii")
    except UnicodeError:
        return plain


def domains_of(address: str) -> list[str]:
    """List the domain of an address and those above it; none for a phone number."""
    domain = address.rpartition("@")[2] if "@" in address else ""
    labels = normalise_domain(domain).split(".")[-_LONGEST_DOMAIN_LABELS:] if domain else []
    return [".".join(labels[start:]) for start in range(len(labels))]


def normalise(kind: SuppressionKind, value: str) -> str:
    """Write what a person asks to suppress in the form that is hashed.

    Raises: Invalid.
    """
    match kind:
        case SuppressionKind.ADDRESS:
            channel = Channel.EMAIL if "@" in value else Channel.WHATSAPP
            return normalise_address(channel, value)
        case SuppressionKind.DOMAIN:
            domain = normalise_domain(value.removeprefix("@"))
            if not domain or "@" in domain or any(sign.isspace() for sign in domain):
                raise Invalid.field("value", "write a domain such as example.com")
            return domain
        case SuppressionKind.CHANNEL:
            if value not in {channel.value for channel in Channel}:
                raise Invalid.field("value", f"write one of {', '.join(Channel)}")
            return value
        case SuppressionKind.LEAD:
            return _lead_id(value)


def mask(value: str) -> str:
    """Show just enough of an address for its owner to know it: `a***@e***.com`, `+31***42`."""
    local, at, domain = value.partition("@")
    if at:
        head, dot, top = domain.rpartition(".")
        return f"{local[:1]}***@{head[:1]}***{dot}{top}"
    if value.startswith("+"):
        return f"{value[:3]}***{value[-2:]}"
    head, dot, top = value.rpartition(".")
    return f"{head[:2]}***{dot}{top}" if dot else value


def _lead_id(value: str) -> str:
    try:
        return str(UUID(value))
    except ValueError as error:
        raise Invalid.field("value", "write the lead's id") from error
