"""Messages, intents and the suppression list in the database; every write is set-based."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import TypeVar
from uuid import UUID

import msgspec

from leadflood.contracts.values import Channel
from leadflood.domain.messaging.claims import spans_of
from leadflood.domain.messaging.keys import Keys, hash_token, mask, normalise_domain
from leadflood.domain.messaging.schemas import (
    FactView,
    Intent,
    IntentState,
    IntentView,
    Message,
    MessageAccepted,
    MessageFilter,
    MessageRefused,
    MessageState,
    MessageUnknown,
    MessageView,
    Problem,
    SendingStatus,
    Settings,
    SuppressionKind,
    SuppressionView,
    Template,
    Unsubscribed,
)
from leadflood.domain.messaging.sending import (
    SENDING_LOCK_KEY,
    Fate,
    IntentRow,
    News,
    Standing,
    next_state,
)
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Row, Tx
from leadflood.engine.queue.event import Event
from leadflood.engine.text import make_storable

SQL = load_queries(__file__)
SEPARATOR = "\x1f"
NEWEST = UUID(int=(1 << 128) - 1)
OLDEST = UUID(int=0)
_UNTOLD = (IntentState.READY, IntentState.SENDING)
RowT = TypeVar("RowT", bound=msgspec.Struct)


class Offer(msgspec.Struct, frozen=True):
    """What an ICP version says of messages."""

    text: str
    is_autopilot: bool


class NewIntent(msgspec.Struct, frozen=True, kw_only=True):
    """An intent to be; `lead_ids` are all leads that are this person."""

    id: UUID
    message: Message
    lead_ids: tuple[UUID, ...]


class NewSuppression(msgspec.Struct, frozen=True, kw_only=True):
    """A line to add to the suppression list."""

    id: UUID
    kind: SuppressionKind
    key: bytes
    hint: str


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """An intent's new state and what goes with it; empty words keep what was there."""

    row: IntentRow
    state: IntentState
    code: str = ""
    detail: str = ""
    provider: str = ""
    remote_id: str = ""
    claim: int | None = None
    job_id: UUID | None = None
    resolved_by: str = ""
    is_told: bool = True


class Outcomes(msgspec.Struct, frozen=True):
    """Events by the intent they are about, with the run they belong to.

    `stranded` are ready again, and the job that says so is the last that knew of them.
    """

    events: dict[UUID, Event]
    run_ids: dict[UUID, UUID]
    stranded: frozenset[UUID] = frozenset()


class Decided(msgspec.Struct, frozen=True):
    """A message as it is locked for a person's decision."""

    message: Message
    sends: str | None
    run_cancelled: bool | None
    lead_deleted: bool | None
    version: int


async def find_offers(db: Reader, icp_ids: Iterable[UUID]) -> dict[UUID, Offer]:
    """Read what ICP versions say of messages."""
    rows = await db.fetch(SQL.find_offers, ids=list(set(icp_ids)))
    return {row["id"]: Offer(clean(row["offer"]), bool(row["autopilot"])) for row in rows}


async def find_templates(db: Reader, name: str, language: str) -> dict[Channel, Template]:
    """Read the newest template of each channel."""
    rows = await db.fetch(SQL.find_templates, name=name, language=language)
    found = [convert(row, Template) for row in rows]
    return {template.channel: template for template in found}


async def find_opted_in(db: Reader, channel: Channel, keys: Iterable[bytes]) -> frozenset[bytes]:
    """Tell which keys have a recorded opt-in."""
    rows = await db.fetch(SQL.find_opted_in, channel=channel.value, keys=list(keys))
    return frozenset(row["key"] for row in rows)


async def record_messages(tx: Tx, messages: Sequence[Message], now: datetime) -> frozenset[UUID]:
    """Write messages with their facts; tell which are new (the others existed already)."""
    if not messages:
        return frozenset()
    rows = await tx.fetch(SQL.add_messages, now=now, **_message_columns(messages))
    new = frozenset(row["id"] for row in rows)
    await _record_facts(tx, [message for message in messages if message.id in new])
    return new


async def record_intents(
    tx: Tx, intents: Sequence[NewIntent], keys: Keys, settings: Settings, now: datetime
) -> frozenset[UUID]:
    """Write intents, ready, with what lets the person say stop; tell which are new."""
    if not intents:
        return frozenset()
    ready = [_ReadyIntent(intent, keys) for intent in intents]
    rows = await tx.fetch(
        SQL.add_intents,
        now=now,
        latest_useful_at=now + timedelta(hours=settings.latest_useful_hours),
        ids=[intent.id for intent in intents],
        message_ids=[intent.message.id for intent in intents],
        lead_ids=[intent.message.lead_id for intent in intents],
        run_ids=[intent.message.run_id for intent in intents],
        steps=[intent.message.step for intent in intents],
        references=[
            reference_of(one.intent.id, one.channel, settings.sender_address) for one in ready
        ],
        channels=[one.channel.value for one in ready],
        to_addresses=[intent.message.to_address for intent in intents],
        address_keys=[one.address_key for one in ready],
        keys=[",".join(key.hex() for key in one.covering) for one in ready],
    )
    new = frozenset(row["id"] for row in rows)
    made = [one for one in ready if one.intent.id in new]
    await tx.execute(
        SQL.add_tokens,
        now=now,
        token_hashes=[one.token_hash for one in made],
        intent_ids=[one.intent.id for one in made],
        lead_ids=[one.intent.message.lead_id for one in made],
        address_keys=[one.address_key for one in made],
        hints=[mask(one.intent.message.to_address) for one in made],
    )
    return new


def reference_of(intent_id: UUID, channel: Channel | None, sender_address: str) -> str:
    """Name a sending for ever: the Message-ID of an e-mail, a plain word elsewhere."""
    if channel is not Channel.EMAIL:
        return f"lf-{intent_id.hex}"
    domain = normalise_domain(sender_address.rpartition("@")[2]) or "leadflood.invalid"
    return f"<lf-{intent_id.hex}@{domain}>"


async def find_intents(db: Reader, ids: Iterable[UUID]) -> dict[UUID, Intent]:
    """Read intents with the text of their messages."""
    rows = await db.fetch(SQL.find_intents, ids=list(set(ids)))
    return {row["id"]: convert(row, Intent) for row in rows}


async def share_sending_lock(tx: Tx) -> None:
    """Keep `hold` from answering until this transaction ends."""
    await tx.execute(SQL.share_sending_lock, key=SENDING_LOCK_KEY)


async def own_sending_lock(tx: Tx) -> None:
    """Wait until no authorize is under way, and keep new ones out until this transaction ends."""
    await tx.execute(SQL.own_sending_lock, key=SENDING_LOCK_KEY)


async def judge_intents(tx: Tx, ids: Iterable[UUID]) -> dict[UUID, Standing]:
    """Lock intents and read everything that may forbid their sending."""
    rows = await tx.fetch(SQL.judge_intents, ids=sorted(set(ids)))
    return {row["id"]: convert(row, Standing) for row in rows}


async def start_sending(
    tx: Tx, started: Sequence[tuple[UUID, int, UUID, str]], now: datetime
) -> None:
    """Move intents to sending; each comes as (intent, claim, job, provider)."""
    if not started:
        return
    await tx.execute(
        SQL.start_sending,
        now=now,
        ids=[one[0] for one in started],
        claims=[one[1] for one in started],
        job_ids=[one[2] for one in started],
        providers=[one[3] for one in started],
    )


async def cancel_intents(tx: Tx, refused: Sequence[tuple[UUID, str, str]], now: datetime) -> None:
    """Move ready intents to cancelled; each comes as (intent, code, reason)."""
    if not refused:
        return
    await tx.execute(
        SQL.cancel_intents,
        now=now,
        ids=[one[0] for one in refused],
        codes=[one[1] for one in refused],
        details=[one[2] for one in refused],
    )


async def lock_intents(tx: Tx, ids: Iterable[UUID]) -> dict[UUID, IntentRow]:
    """Lock intents in the order of their ids."""
    rows = await tx.fetch(SQL.lock_intents, ids=sorted(set(ids)))
    return {row["id"]: convert(row, IntentRow) for row in rows}


async def record_news(
    tx: Tx, news: Sequence[News], now: datetime, *, tells: bool = True
) -> Outcomes:
    """Write what claims learned, and name the events not told before.

    `tells` False writes without telling: the job's own commit tells later.
    """
    if not news:
        return Outcomes({}, {})
    rows = await lock_intents(tx, (one.intent_id for one in news))
    changes: dict[UUID, Change] = {}
    for one in news:
        row = rows.get(one.intent_id)
        change = None if row is None else _change(row, one, tells=tells)
        if change is not None:
            changes.setdefault(one.intent_id, change)
    outcomes = await write_changes(tx, list(changes.values()), now)
    lost = (one.intent_id for one in news if one.fate is Fate.LOST)
    stranded = frozenset(
        intent_id
        for intent_id in lost
        if intent_id in rows and rows[intent_id].state is IntentState.READY
    )
    return msgspec.structs.replace(outcomes, stranded=stranded)


async def write_changes(tx: Tx, changes: Sequence[Change], now: datetime) -> Outcomes:
    """Write new states of locked intents, and name the events not told before."""
    if not changes:
        return Outcomes({}, {})
    await tx.execute(
        SQL.settle_intents,
        now=now,
        ids=[change.row.id for change in changes],
        states=[change.state.value for change in changes],
        tolds=[change.is_told for change in changes],
        codes=[change.code for change in changes],
        details=[clean(change.detail) for change in changes],
        providers=[change.provider for change in changes],
        remote_ids=[clean(change.remote_id) for change in changes],
        claims=[change.claim for change in changes],
        job_ids=[change.job_id for change in changes],
        resolved_bys=[change.resolved_by for change in changes],
    )
    events = {}
    for change in changes:
        event = _event_of(change)
        if event is not None and change.is_told and change.state is not change.row.told_state:
            events[change.row.id] = event
    return Outcomes(events, {change.row.id: change.row.run_id for change in changes})


async def settle_lost(tx: Tx, now: datetime, *, limit: int = 500) -> Outcomes:
    """Make unknown what is in sending under a claim that no longer exists.

    What such a claim still wrote down, but could not tell any more, is told here.
    """
    lost = await tx.fetch(SQL.find_lost, limit=limit)
    claims = {row["id"]: row["claim"] for row in lost}
    rows = await lock_intents(tx, claims)
    changes = [
        Change(row=row, state=IntentState.UNKNOWN, code="effect.lost", detail="its claim was lost")
        if row.state is IntentState.SENDING
        else Change(row=row, state=row.state, code=row.code)
        for row in rows.values()
        if row.claim == claims[row.id] and row.state is not IntentState.READY
    ]
    return await write_changes(tx, changes, now)


async def read_status(db: Reader, limit: int = 1_000) -> SendingStatus:
    """Tell the switch, what is in sending, and how many intents are in each state."""
    switch = await db.fetch_one(SQL.read_switch)
    counts = await db.fetch(SQL.count_intents)
    return SendingStatus(
        held=switch is None or switch["state"] != "released",
        by="" if switch is None else switch["by_whom"],
        reason="a new database starts held" if switch is None else switch["reason"],
        changed_at=None if switch is None else switch["changed_at"],
        sending=await list_intents(db, IntentState.SENDING, limit=limit),
        counts={IntentState(row["state"]): row["count"] for row in counts},
    )


async def write_switch(tx: Tx, state: str, by: str, reason: str, now: datetime) -> None:
    """Write the sending switch. Hold the lock first."""
    await tx.execute(SQL.write_switch, state=state, by=by, reason=reason, now=now)


async def list_intents(
    db: Reader, state: IntentState, *, after: UUID = OLDEST, limit: int = 100
) -> tuple[IntentView, ...]:
    """List the intents in one state, oldest first, addresses masked."""
    rows = await db.fetch(SQL.list_intents, state=state.value, after=after, limit=limit)
    return tuple(
        IntentView(
            id=row["id"],
            message_id=row["message_id"],
            lead_id=row["lead_id"],
            channel=Channel(row["channel"]),
            to_hint=mask(row["to_address"]),
            reference=row["reference"],
            state=IntentState(row["state"]),
            code=row["code"],
            sending_at=row["sending_at"],
        )
        for row in rows
    )


async def list_messages(
    db: Reader,
    wanted: MessageFilter,
    *,
    lead_ids: Sequence[UUID] | None = None,
    before: UUID = NEWEST,
    limit: int = 50,
) -> tuple[MessageView, ...]:
    """List messages, newest first; `lead_ids` None: to whomever."""
    given = {
        "state": None if wanted.state is None else wanted.state.value,
        "channel": None if wanted.channel is None else wanted.channel.value,
        "lead_ids": None if lead_ids is None else list(lead_ids),
        "run_id": wanted.run_id,
        "before": before,
        "limit": limit,
    }
    if wanted.owner is None:
        rows = await db.fetch(SQL.list_messages, **given)
    else:
        rows = await db.fetch(SQL.list_owned_messages, owner=wanted.owner, **given)
    return tuple(convert(row, MessageView) for row in rows)


async def list_messages_of_leads(
    db: Reader, lead_ids: Sequence[UUID], limit: int
) -> Sequence[MessageView]:
    """List the newest messages of each lead, newest first."""
    rows = await db.fetch(SQL.list_messages_of_leads, lead_ids=list(lead_ids), limit=limit)
    return [convert(row, MessageView) for row in rows]


async def find_message(db: Reader, message_id: UUID) -> MessageView | None:
    """Read one message."""
    row = await db.fetch_one(SQL.find_messages, ids=[message_id])
    return None if row is None else convert(row, MessageView)


async def find_facts(db: Reader, message_id: UUID) -> tuple[FactView, ...]:
    """Read what carries a message."""
    rows = await db.fetch(SQL.find_facts, message_id=message_id)
    return tuple(
        FactView(
            number=row["number"],
            field=row["field"],
            value=row["value"],
            field_value_id=row["field_value_id"],
            claimed_at=tuple(zip(row["claim_starts"], row["claim_ends"], strict=True)),
        )
        for row in rows
    )


async def find_problems(db: Reader, message_id: UUID) -> tuple[Problem, ...]:
    """Read why the writer's draft was not used."""
    row = await db.fetch_one(SQL.find_problems, id=message_id)
    if row is None:
        return ()
    pairs = zip(row["problem_codes"], row["problem_details"], strict=False)
    return tuple(Problem(code, detail) for code, detail in pairs)


async def lock_message(tx: Tx, message_id: UUID) -> Decided | None:
    """Lock one message for a decision."""
    row = await tx.fetch_one(SQL.lock_message, id=message_id)
    if row is None:
        return None
    return Decided(
        message=convert(row, Message),
        sends=row["sends"],
        run_cancelled=row["run_cancelled"],
        lead_deleted=row["lead_deleted"],
        version=row["version"],
    )


async def find_owner(db: Reader, lead_id: UUID) -> str | None:
    """Tell who owns a lead; of a merged one, its survivor."""
    owner: str | None = await db.fetch_value(SQL.find_owner, lead_id=lead_id)
    return owner


async def find_intent(db: Reader, message_id: UUID, step: int) -> UUID | None:
    """Find the sending of a message's step."""
    found: UUID | None = await db.fetch_value(SQL.find_intent, message_id=message_id, step=step)
    return found


async def decide_message(
    tx: Tx, message_id: UUID, state: MessageState, word: tuple[str, str], now: datetime
) -> None:
    """Write a person's word, as (who, why)."""
    by, reason = word
    await tx.execute(
        SQL.decide_message, id=message_id, state=state.value, by=by, reason=clean(reason), now=now
    )


async def edit_message(tx: Tx, message: Message, now: datetime) -> None:
    """Write a person's text in place of the draft."""
    await tx.execute(
        SQL.edit_message,
        id=message.id,
        subject=message.subject,
        body=message.body,
        parameters=list(message.parameters),
        writer=message.writer,
        now=now,
    )


async def find_family(db: Reader, lead_id: UUID) -> tuple[UUID, ...]:
    """List every lead that is this person; a lead that is gone stands for itself."""
    rows = await db.fetch(SQL.find_family, ids=[lead_id])
    return tuple(row["id"] for row in rows) or (lead_id,)


async def add_suppressions(
    tx: Tx, lines: Sequence[NewSuppression], why: tuple[str, str, str], now: datetime
) -> int:
    """Add lines to the suppression list with (reason, source, who); tell how many are new."""
    reason, source, by = why
    rows = await tx.fetch(
        SQL.add_suppressions,
        reason=reason,
        source=source,
        by=by,
        now=now,
        ids=[line.id for line in lines],
        kinds=[line.kind.value for line in lines],
        keys=[line.key for line in lines],
        hints=[line.hint for line in lines],
    )
    return len(rows)


async def find_suppression(db: Reader, key: bytes) -> SuppressionView | None:
    """Read the live line of a key."""
    row = await db.fetch_one(SQL.find_suppression, key=key)
    return None if row is None else _suppression(row)


async def list_suppressions(
    db: Reader, *, kind: SuppressionKind | None = None, before: UUID = NEWEST, limit: int = 100
) -> tuple[SuppressionView, ...]:
    """List live lines, newest first."""
    named = None if kind is None else kind.value
    rows = await db.fetch(SQL.list_suppressions, kind=named, before=before, limit=limit)
    return tuple(_suppression(row) for row in rows)


async def lift_suppression(
    db: Reader, suppression_id: UUID, by: str, now: datetime
) -> SuppressionView | None:
    """Lift one line; None when it was not live."""
    row = await db.fetch_one(SQL.lift_suppression, id=suppression_id, by=by, now=now)
    return None if row is None else _suppression(row)


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """Whom an unsubscribe token speaks for."""

    intent_id: UUID
    lead_id: UUID
    address_key: bytes
    hint: str
    used_at: datetime | None

    def tell(self, *, first_time: bool) -> Unsubscribed:
        """Tell the person what happened."""
        return Unsubscribed(known=True, first_time=first_time, hint=self.hint)


async def find_token(db: Reader, token: str) -> Token | None:
    """Read a token; anything may be asked for."""
    row = await db.fetch_one(SQL.find_token, token_hash=hash_token(token))
    return None if row is None else convert(row, Token)


async def use_token(tx: Tx, token: str, now: datetime) -> bool:
    """Remember the first use; tell whether this was it."""
    row = await tx.fetch_one(SQL.use_token, token_hash=hash_token(token), now=now)
    return row is not None


def clean(text: str) -> str:
    """Take out what Postgres or our own joining cannot hold."""
    return make_storable(text).replace(SEPARATOR, " ")


def convert(row: Row, wanted: type[RowT]) -> RowT:
    """Make a struct of a row by the names of its columns; extra columns are left out."""
    present = set(row.keys())
    values = {told: row[name] for name, told in _names_of(wanted) if name in present}
    return msgspec.convert(values, wanted, builtin_types=(bytes, datetime, UUID))


@cache
def _names_of(wanted: type[msgspec.Struct]) -> tuple[tuple[str, str], ...]:
    """List a struct's fields by their own and by their told name."""
    return tuple((field.name, field.encode_name) for field in msgspec.structs.fields(wanted))


class _ReadyIntent:
    """An intent with the hashes that go with it."""

    def __init__(self, intent: NewIntent, keys: Keys) -> None:
        message = intent.message
        self.intent = intent
        self.channel = message.channel or Channel.EMAIL
        self.address_key = keys.of_address(self.channel, message.to_address)
        self.covering = keys.covering(self.channel, message.to_address, intent.lead_ids)
        self.token_hash = hash_token(keys.token_for(intent.id))


def _message_columns(messages: Sequence[Message]) -> Mapping[str, object]:
    return {
        "ids": [message.id for message in messages],
        "lead_ids": [message.lead_id for message in messages],
        "icp_ids": [message.icp_id for message in messages],
        "run_ids": [message.run_id for message in messages],
        "steps": [message.step for message in messages],
        "states": [message.state.value for message in messages],
        "reasons": [clean(message.reason) for message in messages],
        "channels": [message.channel and message.channel.value for message in messages],
        "to_addresses": [clean(message.to_address) for message in messages],
        "to_names": [clean(message.to_name) for message in messages],
        "subjects": [clean(message.subject) for message in messages],
        "bodies": [clean(message.body) for message in messages],
        "template_ids": [message.template_id for message in messages],
        "parameters": [_join(message.parameters) for message in messages],
        "placeholders": [_join(message.placeholders) for message in messages],
        "writers": [clean(message.writer) for message in messages],
        "problem_codes": [_join([one.code for one in message.problems]) for message in messages],
        "problem_details": [
            _join([one.detail for one in message.problems]) for message in messages
        ],
        "decided_bys": [message.decided_by for message in messages],
    }


async def _record_facts(tx: Tx, messages: Sequence[Message]) -> None:
    told = [(message, fact) for message in messages for fact in message.facts]
    if not told:
        return
    spans = {message.id: _spans(message) for message in messages}
    found = [spans[message.id].get(fact.number, ()) for message, fact in told]
    await tx.execute(
        SQL.add_facts,
        message_ids=[message.id for message, _ in told],
        numbers=[fact.number for _, fact in told],
        fields=[fact.field for _, fact in told],
        values=[clean(fact.text) for _, fact in told],
        field_value_ids=[fact.field_value_id for _, fact in told],
        starts=[",".join(str(start) for start, _ in one) for one in found],
        ends=[",".join(str(end) for _, end in one) for one in found],
    )


def _spans(message: Message) -> Mapping[int, Sequence[tuple[int, int]]]:
    text = message.body or "\n".join(message.parameters)
    return spans_of(text, message.claims)


def _join(parts: Sequence[str]) -> str:
    return SEPARATOR.join(clean(part) for part in parts)


def _change(row: IntentRow, news: News, *, tells: bool) -> Change | None:
    """Tell what to write; None where nothing changes and nothing is left to tell."""
    state = next_state(row, news)
    adds_words = state is IntentState.ACCEPTED and bool(news.remote_id) and row.is_of(news)
    is_untold = tells and row.told_state is not state and state not in _UNTOLD
    if state is row.state and not adds_words and not is_untold:
        return None
    keeps_code = state is row.state
    return Change(
        row=row,
        state=state,
        code=row.code if keeps_code else news.code,
        detail=news.detail,
        provider=news.provider,
        remote_id=news.remote_id,
        claim=news.claim,
        job_id=news.job_id,
        is_told=tells,
    )


def _event_of(change: Change) -> Event | None:
    row = change.row
    match change.state:
        case IntentState.ACCEPTED:
            return MessageAccepted(row.lead_id, row.message_id, row.id)
        case IntentState.REFUSED | IntentState.CANCELLED:
            return MessageRefused(row.lead_id, row.message_id, row.id, change.code)
        case IntentState.UNKNOWN:
            return MessageUnknown(row.lead_id, row.message_id, row.id)
        case _:
            return None


def _suppression(row: Row) -> SuppressionView:
    return SuppressionView(
        id=row["id"],
        kind=SuppressionKind(row["kind"]),
        hint=row["hint"],
        reason=row["reason"],
        source=row["source"],
        by=row["added_by"],
        created_at=row["created_at"],
        lifted_at=row["lifted_at"],
    )
