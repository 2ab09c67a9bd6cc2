"""Keyed hashes of addresses and unsubscribe tokens: what is kept of a person.

The suppression list must outlive the person's data, so it holds HMAC-SHA256 only; without the
secret an address cannot be tried against a stolen list.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable
from uuid import UUID

from leadflood.contracts.addresses import list_domains, normalize_domain
from leadflood.contracts.normalization.mailboxes import contact_key
from leadflood.contracts.values import Channel
from leadflood.domain.suppressions.schemas import AddressKey, SuppressionKind
from leadflood.engine.errors import Bug, Invalid

_TOKEN_BYTES = 24


class AddressHasher:
    """Hashes addresses under the key of the installation."""

    def __init__(self, key: AddressKey) -> None:
        self._key = key.key

    @property
    def fingerprint(self) -> str:
        """What tells one key from another, and nothing of it."""
        return self._sign("fingerprint").hex()[:16]

    def hash_value(self, kind: SuppressionKind, value: str) -> bytes:
        """Return the hash of a normalized value under its kind."""
        return self._sign(f"{kind.value}:{value}")

    def hash_address(self, channel: Channel, address: str) -> bytes:
        """Return the hash of who reads an address: its mailbox, or its phone. Raises: Invalid."""
        return self.hash_value(SuppressionKind.ADDRESS, contact_key(channel, address))

    def hash_lead(self, lead_id: UUID, channel: Channel | None = None) -> bytes:
        """Return the hash of a lead's id, which stops a channel to this person; None: every one."""
        return self.hash_value(SuppressionKind.LEAD, lead_value(lead_id, channel))

    def list_stopping(
        self, channel: Channel, address: str, lead_ids: Iterable[UUID]
    ) -> tuple[bytes, ...]:
        """Return each hash whose suppression stops this address.

        Those of itself, its channel, its leads, its domains, and of the domains of its mailbox.
        """
        domains = dict.fromkeys(
            domain
            for written in (address, contact_key(channel, address))
            for domain in list_domains(written)
        )
        return (
            self.hash_address(channel, address),
            *self.list_stopping_people(channel, lead_ids),
            *(self.hash_value(SuppressionKind.DOMAIN, domain) for domain in domains),
        )

    def list_stopping_people(self, channel: Channel, lead_ids: Iterable[UUID]) -> tuple[bytes, ...]:
        """Return each hash whose suppression stops a channel to people, whatever their address."""
        return (
            self.hash_value(SuppressionKind.CHANNEL, channel.value),
            *(self.hash_lead(lead_id, scope) for lead_id in lead_ids for scope in (None, channel)),
        )

    def unsubscribe_token(self, intent_id: UUID) -> str:
        """Return the unsubscribe token of a send: unguessable, and always the same."""
        signature = self._sign(f"unsubscribe:{intent_id}")
        return base64.urlsafe_b64encode(signature[:_TOKEN_BYTES]).decode("ascii")

    def _sign(self, value: str) -> bytes:
        if not self._key:
            raise Bug("addresses are hashed only after the master secret was proved")
        return hmac.digest(self._key, value.encode("utf-8", "surrogatepass"), "sha256")


def lead_value(lead_id: UUID, channel: Channel | None = None) -> str:
    """Return the value of a lead's line: its id, and the channel where it is about one only."""
    return str(lead_id) if channel is None else f"{lead_id} {channel}"


def hash_token(token: str) -> bytes:
    """Return the hash of a token as it is stored; any text may come in."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def normalize_value(kind: SuppressionKind, value: str) -> str:
    """Return what a person asks to suppress in the form that is hashed. Raises: Invalid."""
    match kind:
        case SuppressionKind.ADDRESS:
            channel = Channel.EMAIL if "@" in value else Channel.WHATSAPP
            return contact_key(channel, value)
        case SuppressionKind.DOMAIN:
            domain = normalize_domain(value.removeprefix("@"))
            if not domain or "@" in domain or any(sign.isspace() for sign in domain):
                raise Invalid.field("value", "write a domain such as example.com")
            return domain
        case SuppressionKind.CHANNEL:
            if value not in {channel.value for channel in Channel}:
                raise Invalid.field("value", f"write one of {', '.join(Channel)}")
            return value
        case SuppressionKind.LEAD:
            return _normalize_lead(value)


def _normalize_lead(value: str) -> str:
    lead_id, _, channel = value.partition(" ")
    try:
        return lead_value(UUID(lead_id), Channel(channel.strip()) if channel.strip() else None)
    except ValueError as error:
        problem = "write the lead's id, and a channel behind it where only that is meant"
        raise Invalid.field("value", problem) from error
