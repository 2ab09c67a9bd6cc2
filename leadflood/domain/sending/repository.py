"""Intents and the switch of sending in the database; every write is set-based."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.contracts.addresses import mask_address
from leadflood.contracts.values import Channel
from leadflood.domain.sending.rules.transitions import SendReport, StateChange
from leadflood.domain.sending.schemas import (
    ALL_UNKNOWN,
    LOOK_AT,
    Intent,
    IntentState,
    IntentView,
    LockedIntent,
    LockedSend,
    RestoredSend,
    SendingStatus,
    UnknownFilter,
    UnknownSummary,
    WaitingSend,
    WaitingSummary,
)
from leadflood.engine.db.rows import clean, to_struct
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.ids import OLDEST

SQL = load_queries(__file__)
SENDING_LOCK_KEY = 0x1EAD_5E9D
"""The advisory lock between `hold` (exclusive) and every `authorize` (shared)."""
MAX_LISTED = 1_000
MAX_LOST = 500
MAX_REASONS = 50


class IntentRow(msgspec.Struct, frozen=True, kw_only=True):
    """An intent to be written; the hash of its address is what a rekeying knows it by."""

    id: UUID
    message_id: UUID
    lead_id: UUID
    run_id: UUID
    step: int
    reference: str
    channel: Channel
    to_address: str
    address_hash: bytes
    repeats: bool
    latest_useful_at: datetime


class OpenRecipient(msgspec.Struct, frozen=True, kw_only=True):
    """Whom an intent is for that may still be sent."""

    id: UUID
    lead_id: UUID
    channel: Channel
    to_address: str


class StartedSend(msgspec.Struct, frozen=True):
    """An intent whose call may begin, under which claim, by which provider.

    `touch`: its number among the first messages to its mailbox.
    """

    intent_id: UUID
    claim: int
    job_id: UUID
    provider: str
    reference: str
    touch: int


class CancelledSend(msgspec.Struct, frozen=True):
    """An intent that is refused for good, and why; which message stands against it, if any."""

    intent_id: UUID
    code: str
    reason: str
    earlier_message_id: UUID | None = None


class Touch(msgspec.Struct, frozen=True, kw_only=True):
    """A first message to a contact that left, or may have; `touch` is its number, if it has one."""

    contact_id: UUID
    message_id: UUID
    state: IntentState
    sending_at: datetime
    touch: int | None


async def add_intents(tx: Tx, intents: Sequence[IntentRow], now: datetime) -> frozenset[UUID]:
    """Write intents, ready, and return those that are new: one for each step of a message."""
    rows = await tx.fetch(
        SQL.add_intents,
        now=now,
        ids=[intent.id for intent in intents],
        message_ids=[intent.message_id for intent in intents],
        lead_ids=[intent.lead_id for intent in intents],
        run_ids=[intent.run_id for intent in intents],
        steps=[intent.step for intent in intents],
        references=[intent.reference for intent in intents],
        channels=[intent.channel.value for intent in intents],
        to_addresses=[intent.to_address for intent in intents],
        address_keys=[intent.address_hash for intent in intents],
        repeats=[intent.repeats for intent in intents],
        latest_useful_ats=[intent.latest_useful_at for intent in intents],
    )
    return frozenset(row["id"] for row in rows)


async def find_intents(db: Reader, ids: Iterable[UUID]) -> dict[UUID, Intent]:
    """Return intents with the text of their messages, by id."""
    rows = await db.fetch(SQL.find_intents, ids=list(set(ids)))
    return {row["id"]: to_struct(row, Intent) for row in rows}


async def find_intent(db: Reader, message_id: UUID, step: int) -> UUID | None:
    """Return the id of the intent of a message's step."""
    intent_id: UUID | None = await db.fetch_value(SQL.find_intent, message_id=message_id, step=step)
    return intent_id


async def share_sending_lock(tx: Tx) -> None:
    """Keep `hold` from answering until this transaction ends."""
    await tx.execute(SQL.share_sending_lock, key=SENDING_LOCK_KEY)


async def own_sending_lock(tx: Tx) -> None:
    """Wait until no authorize is under way, and keep new ones out until this transaction ends."""
    await tx.execute(SQL.own_sending_lock, key=SENDING_LOCK_KEY)


async def doubt_restored(tx: Tx, restored_at: datetime) -> None:
    """Make what was ready before a restore unknown."""
    await tx.execute(SQL.doubt_restored, restored_at=restored_at)


async def lock_sends(tx: Tx, ids: Iterable[UUID]) -> list[LockedSend]:
    """Lock intents for their send, in the order of their ids."""
    rows = await tx.fetch(SQL.lock_sends, ids=sorted(set(ids)))
    return [to_struct(row, LockedSend) for row in rows]


async def start_sending(tx: Tx, sends: Sequence[StartedSend], now: datetime) -> None:
    """Move intents to `sending`."""
    if not sends:
        return
    await tx.execute(
        SQL.start_sending,
        now=now,
        ids=[send.intent_id for send in sends],
        claims=[send.claim for send in sends],
        job_ids=[send.job_id for send in sends],
        providers=[send.provider for send in sends],
        references=[send.reference for send in sends],
        touches=[send.touch for send in sends],
    )


async def take_contact_keys(tx: Tx, owners: Mapping[bytes, UUID]) -> None:
    """Lock the unique keys of contacts, in their order, until this transaction ends."""
    if owners:
        await tx.execute(SQL.take_contact_keys, keys=list(owners), intent_ids=list(owners.values()))


async def find_touches(
    db: Reader, mailboxes: Sequence[tuple[UUID, bytes]], people: Sequence[tuple[UUID, UUID]]
) -> list[Touch]:
    """List the first messages that count to contacts; each comes as (id, mailbox) or (id, lead)."""
    rows = await db.fetch(
        SQL.find_touches,
        mailbox_ids=[contact_id for contact_id, _ in mailboxes],
        address_keys=[key for _, key in mailboxes],
        person_ids=[contact_id for contact_id, _ in people],
        lead_ids=[lead_id for _, lead_id in people],
    )
    return [to_struct(row, Touch) for row in rows]


async def cancel_intents(tx: Tx, sends: Sequence[CancelledSend], now: datetime) -> None:
    """Move ready intents to `cancelled`."""
    if not sends:
        return
    await tx.execute(
        SQL.cancel_intents,
        now=now,
        ids=[send.intent_id for send in sends],
        codes=[send.code for send in sends],
        details=[send.reason for send in sends],
        earlier_message_ids=[send.earlier_message_id for send in sends],
    )


async def park(tx: Tx, reports: Sequence[SendReport]) -> None:
    """Record what ready intents wait for, which no job carries any more."""
    if reports:
        await tx.execute(
            SQL.park_intents,
            ids=[report.intent_id for report in reports],
            codes=[report.code for report in reports],
            details=[clean(report.detail) for report in reports],
            needed_micros=[report.needed_micros for report in reports],
        )


async def lock_waiting(
    tx: Tx, channels: Iterable[Channel], now: datetime, limit: int, run_id: UUID | None = None
) -> list[WaitingSend]:
    """Lock the intents that need not wait any more, of one run or of all.

    `channels`: those of which no setting is missing.
    """
    rows = await tx.fetch(
        SQL.lock_waiting,
        channels=[channel.value for channel in channels],
        run_id=run_id,
        now=now,
        limit=limit,
    )
    return [to_struct(row, WaitingSend) for row in rows]


async def end_waiting(tx: Tx, ids: Sequence[UUID]) -> None:
    """Let intents go to work again."""
    await tx.execute(SQL.end_waiting, ids=list(ids))


async def repeat_intent(
    tx: Tx, message_id: UUID, step: int, latest_useful_at: datetime
) -> UUID | None:
    """Let a message's step go although its recipient got one; None: nothing can be repeated."""
    row = await tx.fetch_one(
        SQL.repeat_intent, message_id=message_id, step=step, latest_useful_at=latest_useful_at
    )
    return None if row is None else UUID(int=row["id"].int)


async def list_suppressed(db: Reader, now: datetime, limit: int) -> list[UUID]:
    """List sends that were cancelled as suppressed and are still useful, newest first."""
    return [row["id"] for row in await db.fetch(SQL.list_suppressed, now=now, limit=limit)]


async def restore_intents(tx: Tx, ids: Sequence[UUID]) -> list[RestoredSend]:
    """Make cancelled sends ready again."""
    rows = await tx.fetch(SQL.restore_intents, ids=list(ids))
    return [to_struct(row, RestoredSend) for row in rows]


async def lock_intents(tx: Tx, ids: Iterable[UUID]) -> dict[UUID, LockedIntent]:
    """Lock intents in the order of their ids."""
    rows = await tx.fetch(SQL.lock_intents, ids=sorted(set(ids)))
    return {row["id"]: to_struct(row, LockedIntent) for row in rows}


async def write_changes(tx: Tx, changes: Sequence[StateChange], now: datetime) -> None:
    """Write new states of locked intents."""
    if not changes:
        return
    await tx.execute(
        SQL.update_intents,
        now=now,
        ids=[change.intent.id for change in changes],
        states=[change.state.value for change in changes],
        are_published=[change.is_published for change in changes],
        codes=[change.code for change in changes],
        details=[clean(change.detail) for change in changes],
        providers=[change.provider for change in changes],
        remote_ids=[clean(change.remote_id) for change in changes],
        claims=[change.claim for change in changes],
        job_ids=[change.job_id for change in changes],
        resolved_bys=[change.resolved_by for change in changes],
    )


async def reopen_refused(tx: Tx, ids: Sequence[UUID], latest_useful_at: datetime) -> None:
    """Move refused intents back to `ready`."""
    if ids:
        await tx.execute(SQL.reopen_refused, ids=list(ids), latest_useful_at=latest_useful_at)


async def lock_lost(tx: Tx) -> list[LockedIntent]:
    """Lock what is in sending under a claim that no longer exists, or ended without an event."""
    rows = await tx.fetch(SQL.list_lost, limit=MAX_LOST)
    claims = {row["id"]: row["claim"] for row in rows}
    intents = await lock_intents(tx, claims)
    return [
        intent
        for intent in intents.values()
        if intent.claim == claims[intent.id] and intent.state is not IntentState.READY
    ]


async def get_status(db: Reader) -> SendingStatus:
    """Return the switch, what is in sending, and how many intents are in each state."""
    switch = await db.fetch_one(SQL.find_switch)
    counts = await db.fetch(SQL.count_intents)
    return SendingStatus(
        held=switch is None or switch["state"] != "released",
        by="" if switch is None else switch["by_whom"],
        reason="a new database starts held" if switch is None else switch["reason"],
        changed_at=None if switch is None else switch["changed_at"],
        sending=await list_intents(db, IntentState.SENDING, after=OLDEST, limit=MAX_LISTED),
        counts={IntentState(row["state"]): row["count"] for row in counts},
        unknown=await summarize_unknown(db),
        waiting=await summarize_waiting(db),
    )


async def summarize_waiting(db: Reader) -> tuple[WaitingSummary, ...]:
    """Count the messages that wait by what they wait for, the most first."""
    rows = await db.fetch(SQL.summarize_waiting, limit=MAX_REASONS)
    return tuple(to_struct(row, WaitingSummary) for row in rows)


async def summarize_unknown(db: Reader) -> tuple[UnknownSummary, ...]:
    """Sum the sends that may have arrived by channel."""
    return tuple(
        UnknownSummary(
            channel=Channel(row["channel"]),
            count=row["count"],
            oldest_at=row["oldest_at"],
            newest_at=row["newest_at"],
            look_at=LOOK_AT[Channel(row["channel"])],
        )
        for row in await db.fetch(SQL.summarize_unknown)
    )


async def is_held(db: Reader) -> bool:
    """Whether sending is held now."""
    switch = await db.fetch_one(SQL.find_switch)
    return switch is None or switch["state"] != "released"


async def write_switch(tx: Tx, state: str, by: str, reason: str, now: datetime) -> None:
    """Write the switch of sending. Own its lock first."""
    await tx.execute(SQL.write_switch, state=state, by=by, reason=reason, now=now)


async def list_intents(
    db: Reader, state: IntentState, *, after: UUID, limit: int, chosen: UnknownFilter = ALL_UNKNOWN
) -> tuple[IntentView, ...]:
    """List the intents in one state, oldest first, addresses masked."""
    rows = await db.fetch(
        SQL.list_intents,
        state=state.value,
        after=after,
        limit=limit,
        channel=chosen.channel,
        sent_before=chosen.sent_before,
    )
    return tuple(
        IntentView(
            id=row["id"],
            message_id=row["message_id"],
            lead_id=row["lead_id"],
            channel=Channel(row["channel"]),
            to_hint=mask_address(row["to_address"]),
            reference=row["reference"],
            state=IntentState(row["state"]),
            code=row["code"],
            sending_at=row["sending_at"],
        )
        for row in rows
    )


async def list_addresses(db: Reader) -> dict[bytes, tuple[Channel, str]]:
    """Return every address that was written to, with its channel, by its hash."""
    rows = await db.fetch(SQL.list_addresses)
    return {row["address_key"]: (Channel(row["channel"]), row["to_address"]) for row in rows}


async def rekey_intents(tx: Tx, keys: Mapping[bytes, bytes]) -> None:
    """Replace the hashes of addresses; `keys` are the present by the former."""
    await tx.execute(SQL.rekey_intents, former=list(keys), present=list(keys.values()))


async def list_open_recipients(db: Reader) -> list[OpenRecipient]:
    """List whom the intents are for that may still be sent."""
    return [to_struct(row, OpenRecipient) for row in await db.fetch(SQL.list_open_recipients)]
