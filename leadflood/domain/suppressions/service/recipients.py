"""Recipients: what is kept of the people a send goes to, and whether they agreed to a channel."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

import msgspec

from leadflood.contracts.values import Channel, EmailStatus, FieldName
from leadflood.domain.leads.schemas.profiles import LeadProfile
from leadflood.domain.suppressions import repository
from leadflood.domain.suppressions.rules.address_hash import AddressHasher
from leadflood.domain.suppressions.schemas import AddressKey, NewUnsubscribeToken
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import Invalid

_Send = TypeVar("_Send", bound=Hashable)


class Recipients:
    """Hashes addresses, issues unsubscribe tokens and looks up opt-ins for those who send."""

    def __init__(self, key: AddressKey) -> None:
        self._hasher = AddressHasher(key)

    def hash_address(self, channel: Channel, address: str) -> bytes:
        """Return the hash of an address. Raises: Invalid, NotConfigured."""
        return self._hasher.hash_address(channel, address)

    def list_stopping(
        self, channel: Channel, addresses: Sequence[str], lead_ids: Iterable[UUID]
    ) -> frozenset[bytes]:
        """Return each hash whose suppression stops a send.

        `addresses` are where it goes and then those of the leads that are one with its recipient,
        which may be anything; `lead_ids` are all who would read it. Raises: Invalid.
        """
        stopping = {*self._hasher.list_stopping(channel, addresses[0], lead_ids)}
        stopping |= {key for other in addresses[1:] if (key := self._find_key(channel, other))}
        return frozenset(stopping)

    async def find_suppressed(
        self, db: Reader, stopping: Mapping[_Send, frozenset[bytes]]
    ) -> frozenset[_Send]:
        """Return the sends of which one of the hashes is on the suppression list."""
        keys = await repository.find_suppressed(db, {key for of in stopping.values() for key in of})
        return frozenset(send for send, of in stopping.items() if not keys.isdisjoint(of))

    async def find_stopped(
        self, db: Reader, people: Iterable[LeadProfile]
    ) -> dict[UUID, frozenset[Channel]]:
        """Return the channels on which nothing may be sent to people, by their leads.

        It is what `authorize` will say as things stand: by all leads that are the person, by their
        addresses, and by whose mailbox it is.
        """
        people = list(people)
        emails = {person.lead_id: person.address(Channel.EMAIL).lower() for person in people}
        readers = await repository.find_mailbox_leads(
            db, {each for each in emails.values() if each}
        )
        stopping = {
            (person.lead_id, channel): self._list_stopping_of(
                person, channel, readers.get(emails[person.lead_id], frozenset())
            )
            for person in people
            for channel in Channel
        }
        stopped: dict[UUID, frozenset[Channel]] = {}
        for lead_id, channel in await self.find_suppressed(db, stopping):
            stopped[lead_id] = stopped.get(lead_id, frozenset()) | {channel}
        return stopped

    async def find_unreachable(self, db: Reader, people: Iterable[LeadProfile]) -> frozenset[UUID]:
        """Return the leads that may not be written to by e-mail, nor where they agreed to it.

        An address that does not work stops nobody: another one of theirs may be found.
        """
        people = [_without_dead_address(person) for person in people]
        stopped = await self.find_stopped(db, people)
        unmailable = frozenset(lead_id for lead_id, of in stopped.items() if Channel.EMAIL in of)
        phones = {
            person.lead_id: person.address(Channel.WHATSAPP)
            for person in people
            if person.lead_id in unmailable and Channel.WHATSAPP not in stopped[person.lead_id]
        }
        return unmailable - await self.find_opted_in(db, Channel.WHATSAPP, phones)

    def _list_stopping_of(
        self, person: LeadProfile, channel: Channel, readers: Iterable[UUID]
    ) -> frozenset[bytes]:
        lead_ids = {person.lead_id, *person.members}
        addresses = person.list_addresses(channel)
        if channel is Channel.EMAIL:
            lead_ids.update(readers)
        address = person.address(channel)
        if self._find_key(channel, address):
            return self.list_stopping(channel, (address, *addresses), lead_ids)
        others = {key for other in addresses if (key := self._find_key(channel, other))}
        return frozenset(others | {*self._hasher.list_stopping_people(channel, lead_ids)})

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

    def list_mailboxes(self, person: LeadProfile) -> tuple[bytes, ...]:
        """Return the hashes of where a person may be written to, on any channel."""
        addresses = {channel: person.address(channel) for channel in Channel}
        keys = [self._find_key(channel, address) for channel, address in addresses.items()]
        return tuple(dict.fromkeys(key for key in keys if key))

    def _find_key(self, channel: Channel, address: str) -> bytes | None:
        if not address:
            return None
        try:
            return self._hasher.hash_address(channel, address)
        except Invalid:
            return None


def _without_dead_address(person: LeadProfile) -> LeadProfile:
    """Return a person without the address that does not work."""
    if person.text(FieldName.EMAIL_STATUS) != EmailStatus.INVALID:
        return person
    values = {field: value for field, value in person.values.items() if field != FieldName.EMAIL}
    others = tuple(
        {field: value for field, value in of.items() if field != FieldName.EMAIL}
        for of in person.member_values
    )
    return msgspec.structs.replace(person, values=values, member_values=others)
