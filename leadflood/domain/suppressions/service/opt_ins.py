"""Opt-ins: who agreed to be written to on which channel, and what proves it.

An agreement is to an address: it is kept under the address's keyed hash, beside the lead it was
recorded for, and no other address of the person is covered by it. Rows are never changed but to say
that they were withdrawn, so they stay as proof.
"""

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

from leadflood.contracts.addresses import mask_address, normalize_address
from leadflood.contracts.normalization.channel_addresses import find_address, name_fields
from leadflood.contracts.values import Channel, FieldName
from leadflood.domain.leads.schemas.inputs import LeadInput, OptInEvidence
from leadflood.domain.leads.schemas.profiles import LeadProfile
from leadflood.domain.leads.service import kernel as leads
from leadflood.domain.suppressions import repository
from leadflood.domain.suppressions.rules.address_hash import AddressHasher
from leadflood.domain.suppressions.schemas import (
    AddressKey,
    NewOptIn,
    OptInRecorded,
    OptInView,
    OptInWithdrawal,
    OptInWithdrawn,
)
from leadflood.domain.suppressions.service.people import find_family, lock_person
from leadflood.engine.clock import Clock
from leadflood.engine.db.pool import Database
from leadflood.engine.db.rows import clean
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import Conflict, Invalid, NotFound
from leadflood.engine.ids import Ids
from leadflood.engine.queue.publisher import PublishingTransaction

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
"""No agreement to these channels is older."""
API_SOURCE = "api"
"""The source of a channel that a request names without saying more."""


class OptInService:
    """The use cases of opt-ins. Everything is written in the caller's transaction."""

    def __init__(self, db: Database, key: AddressKey, ids: Ids, clock: Clock) -> None:
        self._db = db
        self._hasher = AddressHasher(key)
        self._ids = ids
        self._clock = clock

    def read_input(
        self, lead: LeadInput, values: Mapping[FieldName, object]
    ) -> tuple[NewOptIn, ...]:
        """Read the agreements of a lead to be, whose canonical values these are.

        Raises: Invalid.
        """
        opt_ins = []
        for evidence in lead.opt_in:
            channel = Channel(evidence if isinstance(evidence, str) else evidence.channel)
            address = find_address(channel, values)
            if not address:
                raise Invalid.field(
                    "optIn", f"give the {name_fields(channel)} that {channel.value} writes to"
                )
            opt_ins.append(self._read(channel, address, evidence, "optIn."))
        return tuple(opt_ins)

    async def add(self, tx: Tx, opt_ins: Sequence[tuple[UUID, NewOptIn, str]]) -> Sequence[UUID]:
        """Write the agreements of new leads; each comes as (lead, agreement, who recorded it)."""
        if not opt_ins:
            return ()
        ids = self._ids.take(len(opt_ins))
        await repository.add_opt_ins(tx, ids, opt_ins, self._clock.now())
        return ids

    async def record(
        self,
        publication: PublishingTransaction,
        lead_id: UUID,
        channel: Channel,
        evidence: OptInEvidence,
        by: str,
    ) -> OptInView:
        """Record that a person agreed; a newer agreement takes the place of the older one.

        The same one again changes nothing. Raises: NotFound, Conflict when the lead has no address
        there, Invalid.
        """
        tx = publication.tx
        profile = await lock_person(tx, lead_id)
        new = self._read(channel, _require_address(profile, channel), evidence, "")
        existing = await _find_equal(tx, profile, new, evidence)
        if existing is not None:
            return existing
        now = self._clock.now()
        await repository.replace_opt_ins(tx, new, profile.lead_id, profile.members, by, now)
        (opt_in_id,) = await self.add(tx, [(profile.lead_id, new, by)])
        await leads.raise_versions(tx, [profile.lead_id], now)
        await publication.publish([OptInRecorded(profile.lead_id, channel)])
        rows = await repository.list_opt_ins(tx, [profile.lead_id])
        return next(row.view for row in rows if row.view.id == opt_in_id)

    async def withdraw(
        self,
        publication: PublishingTransaction,
        lead_id: UUID,
        channel: Channel,
        by: str,
        reason: str,
    ) -> None:
        """Record that a person took their agreement back, for whichever lead it was given.

        It ends what was agreed for the addresses of these agreements and for the lead's present
        one: nothing more is sent there. Raises: NotFound.
        """
        tx = publication.tx
        profile = await lock_person(tx, lead_id)
        address = profile.address(channel)
        withdrawal = OptInWithdrawal(
            channel=channel,
            lead_ids=profile.members,
            keys=(self._hasher.hash_address(channel, address),) if address else (),
            by=by,
            reason=reason,
        )
        if not await repository.withdraw_opt_ins(tx, withdrawal, self._clock.now()):
            raise NotFound(
                f"lead {profile.lead_id} has not agreed to {channel.value}",
                code="opt_in.not_found",
            )
        await leads.raise_versions(tx, [profile.lead_id], self._clock.now())
        await publication.publish([OptInWithdrawn(profile.lead_id, channel)])

    async def list(self, lead_id: UUID) -> Sequence[OptInView]:
        """List what a person agreed to, live or withdrawn, newest first."""
        family = await find_family(self._db, lead_id)
        return [row.view for row in await repository.list_opt_ins(self._db, family)]

    async def list_by_lead(
        self, db: Reader, lead_ids: Sequence[UUID]
    ) -> Mapping[UUID, Sequence[OptInView]]:
        """List the agreements of each of these leads, live or withdrawn, newest first."""
        opt_ins = defaultdict[UUID, deque[OptInView]](deque)
        for row in await repository.list_opt_ins(db, lead_ids):
            opt_ins[row.lead_id].append(row.view)
        return opt_ins

    def _read(
        self, channel: Channel, address: str, evidence: OptInEvidence | str, path: str
    ) -> NewOptIn:
        now = self._clock.now()
        if isinstance(evidence, str):
            wording, source, obtained_at = "", API_SOURCE, now
        else:
            wording, source = clean(evidence.wording), clean(evidence.source)
            obtained_at = evidence.obtained_at or now
            _require_text(wording, f"{path}wording", "write the words the person agreed to")
            _require_text(source, f"{path}source", "say where: a form's address, a file, a call")
        if not EARLIEST <= obtained_at <= now:
            problem = f"must lie between {EARLIEST:%Y-%m-%d} and now"
            raise Invalid.field(f"{path}obtainedAt", problem)
        return NewOptIn(
            channel=channel,
            key=self._hasher.hash_address(channel, address),
            hint=mask_address(normalize_address(channel, address)),
            wording=wording,
            source=source,
            obtained_at=obtained_at,
        )


async def _find_equal(
    tx: Tx, profile: LeadProfile, new: NewOptIn, evidence: OptInEvidence
) -> OptInView | None:
    """Find a live agreement that says the same already; without a time, whenever it was."""
    wanted = (None, new.channel, new.key, new.wording, new.source)
    for row in await repository.list_opt_ins(tx, profile.members):
        view = row.view
        existing = (view.withdrawn_at, view.channel, row.key, view.wording, view.source)
        if existing == wanted and _is_same_time(evidence.obtained_at, view.obtained_at):
            return view
    return None


def _is_same_time(obtained_at: datetime | None, recorded: datetime) -> bool:
    return obtained_at is None or obtained_at == recorded


def _require_address(profile: LeadProfile, channel: Channel) -> str:
    """Return the address that a channel writes to. Raises: Conflict."""
    if address := profile.address(channel):
        return address
    raise Conflict(
        f"the lead has no {name_fields(channel)} that {channel.value} writes to: say it"
        f" first with PATCH /v1/leads/{profile.lead_id}",
        code="opt_in.no_address",
    )


def _require_text(text: str, path: str, problem: str) -> None:
    if not any(character.isalnum() for character in text):  # invisible signs are no words
        raise Invalid.field(path, problem)
