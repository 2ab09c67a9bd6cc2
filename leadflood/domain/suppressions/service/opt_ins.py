"""Opt-ins: who agreed to be written to on which channel, and what proves it.

An agreement is to an address: it is kept under the address's keyed hash, beside the lead it was
recorded for, and no other address of the person is covered by it. Rows are never changed but to say
that they were withdrawn, so they stay as proof.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.contracts.values import Channel, FieldName
from leadflood.domain.leads.schemas import LeadInput, LeadProfile, OptInEvidence
from leadflood.domain.messaging import store
from leadflood.domain.messaging.deciding import Publication
from leadflood.domain.messaging.keys import Keys, mask, normalise_address
from leadflood.domain.messaging.schemas import OptInRecorded, OptInView, OptInWithdrawn
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import Conflict, FieldProblem, Invalid, NotFound
from leadflood.engine.ids import Ids

ADDRESSES = {
    Channel.EMAIL: FieldName.EMAIL,
    Channel.WHATSAPP: FieldName.PHONE,
    Channel.SMS: FieldName.PHONE,
}
"""The field of a lead that a channel writes to."""
API_SOURCE = "api"
"""The source of a channel that a request names without saying more."""


class NewOptIn(msgspec.Struct, frozen=True, kw_only=True):
    """An agreement ready to be written, whoever's it is."""

    channel: Channel
    key: bytes
    hint: str
    wording: str
    source: str
    obtained_at: datetime


class OptIns:
    """The use cases of opt-ins. Everything is written in the caller's transaction."""

    def __init__(self, ids: Ids, clock: Clock, keys: Keys) -> None:
        self._ids = ids
        self._clock = clock
        self._keys = keys

    def read_input(
        self, given: LeadInput, values: Mapping[FieldName, object]
    ) -> tuple[NewOptIn, ...]:
        """Read the agreements of a lead to be, whose canonical values these are.

        Raises: Invalid, NotConfigured.
        """
        opt_ins = []
        for one in given.opt_in:
            channel = Channel(one if isinstance(one, str) else one.channel)
            field = ADDRESSES[channel]
            if field not in values:
                raise _invalid("optIn", f"give the {field.value} that {channel.value} writes to")
            opt_ins.append(self._read(channel, str(values[field]), one, "optIn."))
        return tuple(opt_ins)

    async def add(self, tx: Tx, agreed: Sequence[tuple[UUID, NewOptIn, str]]) -> Sequence[UUID]:
        """Write the agreements of new leads; each comes as (lead, agreement, who recorded it)."""
        if not agreed:
            return ()
        ids = self._ids.take(len(agreed))
        opt_ins = [opt_in for _, opt_in, _ in agreed]
        await tx.execute(
            store.SQL.add_opt_ins,
            ids=ids,
            lead_ids=[lead_id for lead_id, _, _ in agreed],
            channels=[opt_in.channel.value for opt_in in opt_ins],
            keys=[opt_in.key for opt_in in opt_ins],
            hints=[opt_in.hint for opt_in in opt_ins],
            wordings=[opt_in.wording for opt_in in opt_ins],
            sources=[opt_in.source for opt_in in opt_ins],
            obtained_ats=[opt_in.obtained_at for opt_in in opt_ins],
            recorded_bys=[by for _, _, by in agreed],
            now=self._clock.now(),
        )
        return ids

    async def record(
        self,
        publication: Publication,
        profile: LeadProfile,
        channel: Channel,
        evidence: OptInEvidence,
        by: str,
    ) -> OptInView:
        """Write down that a person agreed; a newer agreement takes the place of the older one.

        The same one again changes nothing. Raises: Conflict when the lead has no address there,
        Invalid, NotConfigured.
        """
        tx = publication.tx
        address = profile.text(ADDRESSES[channel])
        if not address:
            raise Conflict(
                f"the lead has no {ADDRESSES[channel].value} that {channel.value} writes to: say it"
                f" first with PATCH /v1/leads/{profile.lead_id}",
                code="opt_in.no_address",
            )
        new = self._read(channel, address, evidence, "")
        known = await self._find_equal(tx, profile, new, evidence)
        if known is not None:
            return known
        members, now = list(profile.members), self._clock.now()
        await tx.execute(
            store.SQL.replace_opt_ins, channel=channel.value, lead_ids=members, by=by, now=now
        )
        (opt_in_id,) = await self.add(tx, [(profile.lead_id, new, by)])
        await publication.publish([OptInRecorded(profile.lead_id, channel)])
        rows = await _rows_of(tx, [profile.lead_id])
        return next(row.view for row in rows if row.view.id == opt_in_id)

    async def withdraw(
        self, publication: Publication, profile: LeadProfile, channel: Channel, by: str, reason: str
    ) -> None:
        """Write down that a person took their agreement back, for whichever lead it was given.

        Raises: NotFound.
        """
        rows = await publication.tx.fetch(
            store.SQL.withdraw_opt_ins,
            channel=channel.value,
            lead_ids=list(profile.members),
            by=by,
            reason=store.clean(reason),
            now=self._clock.now(),
        )
        if not rows:
            raise NotFound(
                f"lead {profile.lead_id} has not agreed to {channel.value}",
                code="opt_in.not_found",
            )
        await publication.publish([OptInWithdrawn(profile.lead_id, channel)])

    async def list_of(self, db: Reader, lead_ids: Sequence[UUID]) -> dict[UUID, list[OptInView]]:
        """List the agreements of each of these leads, live or withdrawn, newest first."""
        opt_ins: dict[UUID, list[OptInView]] = {}
        for row in await _rows_of(db, lead_ids):
            opt_ins.setdefault(row.lead_id, []).append(row.view)
        return opt_ins

    async def _find_equal(
        self, tx: Tx, profile: LeadProfile, new: NewOptIn, evidence: OptInEvidence
    ) -> OptInView | None:
        """Find a live agreement that says the same already; without a time, whenever it was."""
        wanted = (None, new.channel, new.key, new.wording, new.source)
        for row in await _rows_of(tx, profile.members):
            view = row.view
            kept = (view.withdrawn_at, view.channel, row.key, view.wording, view.source)
            if kept == wanted and evidence.obtained_at in {None, view.obtained_at}:
                return view
        return None

    def _read(
        self, channel: Channel, address: str, evidence: OptInEvidence | str, path: str
    ) -> NewOptIn:
        now = self._clock.now()
        if isinstance(evidence, str):
            wording, source, obtained_at = "", API_SOURCE, now
        else:
            wording, source = store.clean(evidence.wording), store.clean(evidence.source)
            obtained_at = evidence.obtained_at or now
            _require(wording, f"{path}wording", "write the words the person agreed to")
            _require(source, f"{path}source", "say where: a form's address, a file, a call")
        if obtained_at > now:
            raise _invalid(f"{path}obtainedAt", "lies in the future")
        return NewOptIn(
            channel=channel,
            key=self._keys.of_address(channel, address),
            hint=mask(normalise_address(channel, address)),
            wording=wording,
            source=source,
            obtained_at=obtained_at,
        )


class _Row(msgspec.Struct, frozen=True):
    """An agreement as it is kept."""

    lead_id: UUID
    key: bytes
    view: OptInView


async def _rows_of(db: Reader, lead_ids: Sequence[UUID]) -> list[_Row]:
    rows = await db.fetch(store.SQL.list_opt_ins, lead_ids=list(lead_ids))
    return [_Row(row["lead_id"], row["key"], store.convert(row, OptInView)) for row in rows]


def _require(text: str, path: str, problem: str) -> None:
    if not text.strip():
        raise _invalid(path, problem)


def _invalid(path: str, problem: str) -> Invalid:
    return Invalid(f"{path}: {problem}", (FieldProblem(path, problem),))
