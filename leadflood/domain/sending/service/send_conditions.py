"""Send conditions: what stands at this moment for and against sends, and nothing that stood before.

An intent holds no more of its person than the lead and the address. Who that lead is by now, which
leads are the same person, whether the address is still theirs, who else reads the mailbox, and what
all of these asked for is read when it is asked: a merge, an edit or an undo in between counts.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.contracts.addresses import normalize_address
from leadflood.contracts.values import Channel
from leadflood.domain.leads.schemas.profiles import LeadProfile
from leadflood.domain.leads.service import kernel as leads
from leadflood.domain.sending import repository
from leadflood.domain.sending.schemas import FIRST_STEP, LockedSend, SendConditions
from leadflood.domain.sending.service.contact_history import (
    Contact,
    ContactHistory,
    past_of,
    take_keys,
)
from leadflood.domain.suppressions.schemas import AddressKey
from leadflood.domain.suppressions.service.recipients import Recipients
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import Invalid


class SendConditionReader:
    """Reads the conditions of sends, whose intents are locked by it."""

    def __init__(self, key: AddressKey, history: ContactHistory) -> None:
        self._recipients = Recipients(key)
        self._history = history

    async def find(
        self, tx: Tx, intent_ids: Iterable[UUID], now: datetime, *, takes_keys: bool = False
    ) -> dict[UUID, SendConditions]:
        """Lock intents and return everything that may forbid their sending, by id.

        `takes_keys`: what they got before is decided until this transaction ends.
        """
        sends = await repository.lock_sends(tx, intent_ids)
        readers = {
            lead_id
            for send in sends
            for lead_id in (send.lead_id, send.mailbox_lead_id)
            if lead_id is not None
        }
        profiles = await leads.find_profiles(tx, readers)
        suppressed = await self._find_suppressed(tx, sends, profiles)
        opted_in = await self._find_opted_in(tx, sends)
        contacts = _contacts_of(sends, profiles)
        if takes_keys:
            await take_keys(tx, contacts.values())
        pasts = await self._history.find(tx, list(contacts.values()), now)
        return {
            send.id: SendConditions(
                **msgspec.structs.asdict(send),
                address_stands=_stands(send, profiles.get(send.lead_id)),
                suppressed=send.id in suppressed,
                opted_in=send.id in opted_in,
                contact_keys=contacts[send.id].keys if send.id in contacts else (),
                past=past_of(pasts, send.id),
            )
            for send in sends
        }

    async def _find_suppressed(
        self, tx: Tx, sends: Iterable[LockedSend], profiles: Mapping[UUID, LeadProfile]
    ) -> frozenset[UUID]:
        """Return the sends that somebody asked not to get, as any of the leads that they are."""
        stopping = {
            send.id: self._recipients.list_stopping(
                send.channel,
                (send.to_address, *_family_addresses(send, profiles)),
                _people_of(send, profiles),
            )
            for send in sends
        }
        return await self._recipients.find_suppressed(tx, stopping)

    async def _find_opted_in(self, tx: Tx, sends: Iterable[LockedSend]) -> frozenset[UUID]:
        addresses: dict[Channel, dict[UUID, str]] = {}
        for send in sends:
            addresses.setdefault(send.channel, {})[send.id] = send.to_address
        opted_in = [
            await self._recipients.find_opted_in(tx, channel, of_channel)
            for channel, of_channel in addresses.items()
        ]
        return frozenset[UUID]().union(*opted_in)


def _contacts_of(
    sends: Iterable[LockedSend], profiles: Mapping[UUID, LeadProfile]
) -> dict[UUID, Contact]:
    """Return whom each first message goes to: the mailbox, and the person as known now."""
    return {
        send.id: Contact(
            id=send.id,
            mailboxes=(send.address_key,),
            lead_ids=_members_of(profiles.get(send.lead_id)) or (send.lead_id,),
        )
        for send in sends
        if send.step == FIRST_STEP
    }


def _members_of(profile: LeadProfile | None) -> tuple[UUID, ...]:
    return () if profile is None else profile.members


def _family_addresses(send: LockedSend, profiles: Mapping[UUID, LeadProfile]) -> Iterable[str]:
    """List what the leads that are one with the recipient are written to by themselves."""
    profile = profiles.get(send.lead_id)
    return () if profile is None else profile.list_addresses(send.channel)


def _people_of(send: LockedSend, profiles: Mapping[UUID, LeadProfile]) -> frozenset[UUID]:
    """Return every lead that is the recipient now, and every lead whose mailbox it is."""
    people = {send.lead_id}
    for lead_id in (send.lead_id, send.mailbox_lead_id):
        profile = None if lead_id is None else profiles.get(lead_id)
        if profile is not None:
            people |= {profile.lead_id, *profile.members}
    return frozenset(people)


def _stands(send: LockedSend, profile: LeadProfile | None) -> bool:
    """Whether the address is what the lead is written to at now."""
    if profile is None:
        return False
    address = profile.address(send.channel)
    try:
        present = normalize_address(send.channel, address)
    except Invalid:
        return False
    return present == normalize_address(send.channel, send.to_address)
