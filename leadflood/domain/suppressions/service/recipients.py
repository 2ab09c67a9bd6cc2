"""Recipients: what is kept of the people a send goes to, and whether they agreed to a channel."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from leadflood.contracts.values import Channel
from leadflood.domain.suppressions import repository
from leadflood.domain.suppressions.rules.address_hash import AddressHasher
from leadflood.domain.suppressions.schemas import AddressKey, NewUnsubscribeToken, RecipientHashes
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import Invalid


class Recipients:
    """Hashes addresses, issues unsubscribe tokens and looks up opt-ins for those who send."""

    def __init__(self, key: AddressKey) -> None:
        self._hasher = AddressHasher(key)

    def hash_recipient(
        self, channel: Channel, address: str, lead_ids: Sequence[UUID]
    ) -> RecipientHashes:
        """Return the hashes of an address; `lead_ids` are all leads that are this person.

        Raises: Invalid.
        """
        return RecipientHashes(
            address=self._hasher.hash_address(channel, address),
            stopping=self._hasher.list_stopping(channel, address, lead_ids),
        )

    def unsubscribe_token(self, intent_id: UUID) -> str:
        """Return the unsubscribe token of a send, always the same."""
        return self._hasher.unsubscribe_token(intent_id)

    async def issue_tokens(
        self, tx: Tx, tokens: Sequence[NewUnsubscribeToken], now: datetime
    ) -> None:
        """Write what lets the people written to say stop."""
        await repository.add_tokens(tx, tokens, now)

    async def find_opted_in(
        self, db: Reader, channel: Channel, addresses: Mapping[UUID, str]
    ) -> frozenset[UUID]:
        """Return the leads whose address has a live opt-in."""
        leads_by_key: dict[bytes, set[UUID]] = {}
        for lead_id, address in addresses.items():
            if key := self._find_key(channel, address):
                leads_by_key.setdefault(key, set()).add(lead_id)
        if not leads_by_key:
            return frozenset()
        keys = await repository.find_opted_in(db, channel, leads_by_key)
        return frozenset(lead_id for key in keys for lead_id in leads_by_key[key])

    def _find_key(self, channel: Channel, address: str) -> bytes | None:
        if not address:
            return None
        try:
            return self._hasher.hash_address(channel, address)
        except Invalid:
            return None
