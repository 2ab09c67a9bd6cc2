"""Stated consent: what a file or a request says of people, written with their leads.

A no stops the addresses that were named with it, and the person: whichever address of theirs is
found later, it is on the list too.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.contracts.addresses import mask_address
from leadflood.contracts.normalization.mailboxes import contact_key
from leadflood.contracts.values import Channel, FieldName, OptOutChannel
from leadflood.domain.leads.schemas.inputs import LeadInput
from leadflood.domain.suppressions import repository
from leadflood.domain.suppressions.repository import NewSuppression, SuppressionOrigin
from leadflood.domain.suppressions.rules.address_hash import AddressHasher, lead_value
from leadflood.domain.suppressions.schemas import AddressKey, NewOptIn, SuppressionKind
from leadflood.engine.clock import Clock
from leadflood.engine.db.rows import clean
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import Invalid
from leadflood.engine.ids import Ids

_ADDRESSES = {
    FieldName.EMAIL: Channel.EMAIL,
    FieldName.PHONE: Channel.WHATSAPP,
    FieldName.MOBILE_PHONE: Channel.WHATSAPP,
}
_NUMBERS = (Channel.WHATSAPP, Channel.SMS)
CHANNELS = {
    OptOutChannel.EMAIL: (Channel.EMAIL,),
    OptOutChannel.PHONE: _NUMBERS,
    OptOutChannel.WHATSAPP: (Channel.WHATSAPP,),
    OptOutChannel.ALL: tuple(Channel),
}
"""The channels that a no is about."""
_NAMES = {
    Channel.EMAIL: OptOutChannel.EMAIL,
    Channel.WHATSAPP: OptOutChannel.WHATSAPP,
    Channel.SMS: OptOutChannel.PHONE,
}
_MAX_REASON, _MAX_SOURCE = 2_000, 500


class StatedOptOut(msgspec.Struct, frozen=True, kw_only=True):
    """A no.

    - `channels`: what it is about.
    - `lead_id`: who said it; None: nobody that may be named, or of the addresses alone.
    - `addresses`: the addresses that were named with it; a number's channel is WhatsApp.
    - `domain`: the company that said it; None: a person did.
    - `reason`, `source`, `by`: what proves it, where it stands, and who brought it.
    - `import_id`: the import whose file says it; None: no file does.
    """

    channels: frozenset[OptOutChannel]
    lead_id: UUID | None
    addresses: Sequence[tuple[Channel, str]]
    reason: str
    source: str
    by: str
    domain: str | None = None
    import_id: UUID | None = None


class StatedOptIn(msgspec.Struct, frozen=True, kw_only=True):
    """A yes to one channel, at one address; `obtained_at` None: now."""

    lead_id: UUID
    channel: Channel
    address: str
    wording: str
    source: str
    by: str
    obtained_at: datetime | None = None


class StatedConsent:
    """Writes what was stated, in the caller's transaction."""

    def __init__(self, key: AddressKey, ids: Ids, clock: Clock) -> None:
        self._hasher = AddressHasher(key)
        self._ids = ids
        self._clock = clock

    async def suppress(self, tx: Tx, opt_outs: Sequence[StatedOptOut]) -> int:
        """Write each no; return how many of their lines are new."""
        lines = {line.key: line for opt_out in opt_outs for line in self._lines(opt_out)}
        if not lines:
            return 0
        return len(await repository.add_suppressions(tx, list(lines.values()), self._clock.now()))

    async def find_refused(
        self, db: Reader, lead_ids: Iterable[UUID]
    ) -> dict[UUID, frozenset[OptOutChannel]]:
        """Find what people said no to themselves, whatever their addresses; only who did."""
        keys = {
            (lead_id, scope): self._hasher.hash_lead(lead_id, scope)
            for lead_id in lead_ids
            for scope in (None, *Channel)
        }
        suppressed = await repository.find_suppressed(db, keys.values())
        refused: dict[UUID, frozenset[OptOutChannel]] = {}
        for (lead_id, scope), key in keys.items():
            if key in suppressed:
                name = OptOutChannel.ALL if scope is None else _NAMES[scope]
                refused[lead_id] = refused.get(lead_id, frozenset()) | {name}
        return refused

    def _lines(self, opt_out: StatedOptOut) -> Iterator[NewSuppression]:
        origin = SuppressionOrigin(
            reason=clean(opt_out.reason)[:_MAX_REASON],
            source=clean(opt_out.source)[:_MAX_SOURCE],
            by=opt_out.by,
            import_id=opt_out.import_id,
        )
        for kind, value, hint in _list_stopped(opt_out):
            yield NewSuppression(
                id=self._ids.new(),
                kind=kind,
                key=self._hasher.hash_value(kind, value),
                hint=hint,
                origin=origin,
            )

    def read_input(
        self, lead: LeadInput, values: Mapping[FieldName, object], by: str
    ) -> tuple[StatedOptOut, ...]:
        """Read what a lead to be, whose canonical values these are, said no to."""
        if not lead.opt_out:
            return ()
        addresses = [
            (channel, str(values[field]))
            for field, channel in _ADDRESSES.items()
            if field in values
        ]
        return (
            StatedOptOut(
                channels=frozenset(lead.opt_out),
                lead_id=None,
                addresses=addresses,
                reason=f"optOut: {', '.join(lead.opt_out)}",
                source="api",
                by=by,
            ),
        )

    async def add(self, tx: Tx, refused: Sequence[tuple[UUID | None, StatedOptOut]]) -> None:
        """Suppress people; each comes as (lead, no), None for a lead that may not be named."""
        await self.suppress(
            tx,
            [msgspec.structs.replace(opt_out, lead_id=lead_id) for lead_id, opt_out in refused],
        )

    async def agree(self, tx: Tx, opt_ins: Sequence[StatedOptIn]) -> int:
        """Write each yes that is not on record already; return how many there were.

        A person's newer agreement takes the place of the older one on its channel.
        """
        now = self._clock.now()
        live = {
            (row.lead_id, row.view.channel, row.key)
            for row in await repository.list_opt_ins(tx, [opt_in.lead_id for opt_in in opt_ins])
            if row.view.withdrawn_at is None
        }
        new: dict[tuple[UUID, Channel], tuple[UUID, NewOptIn, str]] = {}
        for opt_in in opt_ins:
            agreement = self._read(opt_in, now)
            if agreement and (opt_in.lead_id, opt_in.channel, agreement.key) not in live:
                new[opt_in.lead_id, opt_in.channel] = (opt_in.lead_id, agreement, opt_in.by)
        for lead_id, agreement, by in new.values():
            if (lead_id, agreement.channel) in {each[:2] for each in live}:
                await repository.replace_opt_ins(tx, agreement, lead_id, [lead_id], by, now)
        ordered = list(new.values())
        await repository.add_opt_ins(tx, self._ids.take(len(ordered)), ordered, now)
        return len(ordered)

    async def withdraw(
        self, tx: Tx, lead_ids: Sequence[UUID], source: str, by: str, reason: str
    ) -> None:
        """Withdraw agreements of leads whose source begins so. A no stays."""
        origin = SuppressionOrigin(reason=reason, source=source, by=by)
        await repository.withdraw_sourced_opt_ins(tx, lead_ids, source, origin, self._clock.now())

    def _read(self, opt_in: StatedOptIn, now: datetime) -> NewOptIn | None:
        """Return an agreement to an address; None: nothing can be sent to it."""
        address = _normalize(opt_in.channel, opt_in.address)
        if address is None:
            return None
        return NewOptIn(
            channel=opt_in.channel,
            key=self._hasher.hash_value(SuppressionKind.ADDRESS, address),
            hint=mask_address(address),
            wording=clean(opt_in.wording)[:_MAX_REASON],
            source=clean(opt_in.source)[:_MAX_SOURCE],
            obtained_at=min(opt_in.obtained_at or now, now),
        )


def _list_stopped(opt_out: StatedOptOut) -> Iterator[tuple[SuppressionKind, str, str]]:
    """Yield what a no stops: kind, value and hint."""
    channels = {channel for name in opt_out.channels for channel in CHANNELS[name]}
    for channel, address in opt_out.addresses:
        is_meant = channel in channels or (channel in _NUMBERS and channels.intersection(_NUMBERS))
        if is_meant and (value := _normalize(channel, address)):
            yield SuppressionKind.ADDRESS, value, mask_address(value)
    if opt_out.domain is not None and Channel.EMAIL in channels:
        yield SuppressionKind.DOMAIN, opt_out.domain, mask_address(opt_out.domain)
    if opt_out.lead_id is None:
        return
    scopes = [None] if channels == set(Channel) else sorted(channels)
    for scope in scopes:
        value = lead_value(opt_out.lead_id, scope)
        yield SuppressionKind.LEAD, value, value


def _normalize(channel: Channel, address: str) -> str | None:
    try:
        return contact_key(channel, address)
    except Invalid:
        return None
