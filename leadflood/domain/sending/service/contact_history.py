"""Contact history: whom a first message went to already, so that nobody gets a second one.

A first message is step 1, on any channel. It counts while its intent is `sending`, `accepted` or
`unknown`: from the moment it may leave, as long as it may have arrived. A contact is a mailbox (the
key of an address, or a phone) and a person (a lead with all leads that are one with it now).

Two things keep it to one, whatever the runs, files, ICPs, nodes and buttons:

1. **The keys.** `authorize` takes the unique keys of the contact before it looks: a row of
   `contact_key` for the mailbox and one for each lead of the person, in one order, kept locked to
   the end of the transaction that lets the message leave. Of two who want one contact the second
   waits, and then sees what the first did. Drafting and approving look as well, without the keys:
   they save work and answer at once, but decide nothing.
2. **The number.** What leaves gets the next number among those that count for its mailbox, and the
   database keeps mailbox and number unique (`intent_touch`): code that forgot the keys fails.

A key is never given back, for it holds nothing: whether somebody was written to is the state of the
intents alone. So a send that is refused, cut, resolved as not sent or never left counts no more by
itself, and its contact is free; one that goes again asks again. Merges and their undo move nothing:
the person is read anew each time, so two leads that were written to and turn out to be one stay as
they are and get no third, two that were merely ready get one, and after an undo each has its own
past, but for the mailbox. An undone import takes no lead that was written to; a lead that is
brought again under a new id meets its mailbox. A replaced master secret writes the mailboxes of the
intents anew; rows of `contact_key` under the former one are passed over.

A second one goes where a person asked for it by name (`repeats`), or where
`messaging.again_after_days` have passed since the last. It takes keys and a number like any other.

Not prevented, for nobody can know it: two leads that are made one only after both have left.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from leadflood.domain.sending import repository
from leadflood.domain.sending.repository import Touch
from leadflood.domain.sending.schemas import NO_PAST, ContactPast, EarlierMessage
from leadflood.engine.db.tx import Reader, Tx


class Contact(msgspec.Struct, frozen=True, kw_only=True):
    """A person and their mailboxes, for whom `id` asks: an intent, or a lead to be drafted to.

    `mailboxes` are hashes of addresses, `lead_ids` all leads that are the person.
    """

    id: UUID
    mailboxes: tuple[bytes, ...]
    lead_ids: tuple[UUID, ...]

    @property
    def keys(self) -> tuple[bytes, ...]:
        """What nobody else may hold while a first message leaves for them."""
        return (*self.mailboxes, *(lead_id.bytes for lead_id in self.lead_ids))


class ContactHistory:
    """Looks up first messages of before. `again_after_days` 0: they count for ever."""

    def __init__(self, again_after_days: float) -> None:
        self._again_after = timedelta(days=again_after_days)

    async def find(
        self, db: Reader, contacts: Sequence[Contact], now: datetime
    ) -> Mapping[UUID, ContactPast]:
        """Return what each contact got before, by the id that asks; its own intent is left out."""
        touches: dict[UUID, list[Touch]] = {}
        for touch in await repository.find_touches(
            db,
            [(contact.id, key) for contact in contacts for key in contact.mailboxes],
            [(contact.id, lead_id) for contact in contacts for lead_id in contact.lead_ids],
        ):
            touches.setdefault(touch.contact_id, []).append(touch)
        return {contact_id: self._past(of, now) for contact_id, of in touches.items()}

    def _past(self, touches: Sequence[Touch], now: datetime) -> ContactPast:
        newest = max(touches, key=lambda touch: touch.sending_at)
        has_passed = self._again_after and newest.sending_at <= now - self._again_after
        earlier = EarlierMessage(newest.message_id, newest.state, newest.sending_at)
        return ContactPast(
            earlier=None if has_passed else earlier,
            touch_count=max(touch.touch or 0 for touch in touches),
        )


async def take_keys(tx: Tx, contacts: Iterable[Contact]) -> None:
    """Take the keys of contacts until this transaction ends.

    Waits: for others who send a first message to one of them.
    """
    owners = {key: contact.id for contact in contacts for key in contact.keys}
    await repository.take_contact_keys(tx, owners)


def past_of(pasts: Mapping[UUID, ContactPast], contact_id: UUID) -> ContactPast:
    """Return a contact's past; that of one who was never written to is empty."""
    return pasts.get(contact_id, NO_PAST)
