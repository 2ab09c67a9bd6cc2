"""Messages and their facts in the database; drafts are written set-based."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.domain.auth.schemas.principals import Visibility
from leadflood.domain.drafting.schemas import DraftProblem, ProvenFact
from leadflood.domain.messages.schemas import (
    FactView,
    Message,
    MessageFilter,
    MessageState,
    MessageView,
    Recipient,
)
from leadflood.engine.db.rows import clean, join, to_struct
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Tx

SQL = load_queries(__file__)
Spans = Mapping[int, Sequence[tuple[int, int]]]
"""Where each fact, by its number, is claimed in a text (start, end in characters)."""


class Offer(msgspec.Struct, frozen=True):
    """The offer of an ICP version, and whether its messages go without a person's approval."""

    text: str
    is_autopilot: bool


class LockedMessage(msgspec.Struct, frozen=True):
    """A message as it is locked for a decision; None where its run or lead is gone."""

    message: Message
    sends: str | None
    run_cancelled: bool | None
    lead_deleted: bool | None
    version: int


async def find_offers(db: Reader, icp_ids: Iterable[UUID]) -> dict[UUID, Offer]:
    """Return what ICP versions offer."""
    rows = await db.fetch(SQL.find_offers, ids=list(set(icp_ids)))
    return {row["id"]: Offer(clean(row["offer"]), bool(row["autopilot"])) for row in rows}


async def add_messages(tx: Tx, messages: Sequence[Message], now: datetime) -> frozenset[UUID]:
    """Write messages, and return those that are new: one for each run, lead and step."""
    rows = await tx.fetch(SQL.add_messages, now=now, **_columns(messages))
    return frozenset(row["id"] for row in rows)


async def drop_failed(tx: Tx, messages: Sequence[Message]) -> None:
    """Make room for messages where an earlier drafting failed: a replay drafts anew."""
    await tx.execute(
        SQL.drop_failed,
        run_ids=[message.run_id for message in messages],
        lead_ids=[message.lead_id for message in messages],
        steps=[message.step for message in messages],
    )


async def add_facts(tx: Tx, facts: Sequence[tuple[UUID, ProvenFact, Spans]]) -> None:
    """Write what carries messages; each comes as (message, fact, where its text claims facts)."""
    if not facts:
        return
    spans = [spans.get(fact.number, ()) for _, fact, spans in facts]
    await tx.execute(
        SQL.add_facts,
        message_ids=[message_id for message_id, _, _ in facts],
        numbers=[fact.number for _, fact, _ in facts],
        fields=[fact.field for _, fact, _ in facts],
        values=[clean(fact.text) for _, fact, _ in facts],
        field_value_ids=[fact.field_value_id for _, fact, _ in facts],
        starts=[",".join(str(start) for start, _ in claimed) for claimed in spans],
        ends=[",".join(str(end) for _, end in claimed) for claimed in spans],
    )


async def list_messages(
    db: Reader,
    message_filter: MessageFilter,
    visibility: Visibility,
    lead_ids: Sequence[UUID] | None,
    before: UUID,
    limit: int,
) -> tuple[MessageView, ...]:
    """List messages, newest first; `lead_ids` None: to whomever."""
    state, channel = message_filter.state, message_filter.channel
    params = {
        "state": None if state is None else state.value,
        "channel": None if channel is None else channel.value,
        "lead_ids": None if lead_ids is None else list(lead_ids),
        "run_id": message_filter.run_id,
        "before": before,
        "limit": limit,
    }
    if visibility.is_limited:
        rows = await db.fetch(SQL.list_owned_messages, owner=visibility.owner, **params)
    else:
        rows = await db.fetch(SQL.list_messages, **params)
    return tuple(to_struct(row, MessageView) for row in rows)


async def list_by_lead(db: Reader, lead_ids: Sequence[UUID], limit: int) -> Sequence[MessageView]:
    """List the newest messages of each lead, newest first."""
    rows = await db.fetch(SQL.list_messages_of_leads, lead_ids=list(lead_ids), limit=limit)
    return [to_struct(row, MessageView) for row in rows]


async def find_message(db: Reader, message_id: UUID) -> MessageView | None:
    """Return one message."""
    row = await db.fetch_one(SQL.find_messages, ids=[message_id])
    return None if row is None else to_struct(row, MessageView)


async def find_facts(db: Reader, message_id: UUID) -> tuple[FactView, ...]:
    """Return what carries a message."""
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


async def find_problems(db: Reader, message_id: UUID) -> tuple[DraftProblem, ...]:
    """Return why drafts of a message were refused."""
    row = await db.fetch_one(SQL.find_problems, id=message_id)
    if row is None:
        return ()
    pairs = zip(row["problem_codes"], row["problem_details"], strict=False)
    return tuple(DraftProblem(code, detail) for code, detail in pairs)


async def lock_message(tx: Tx, message_id: UUID) -> LockedMessage | None:
    """Lock one message for a decision."""
    row = await tx.fetch_one(SQL.lock_message, id=message_id)
    if row is None:
        return None
    return LockedMessage(
        message=to_struct(row, Message),
        sends=row["sends"],
        run_cancelled=row["run_cancelled"],
        lead_deleted=row["lead_deleted"],
        version=row["version"],
    )


async def decide_message(
    tx: Tx, message_id: UUID, state: MessageState, *, by: str, reason: str = "", now: datetime
) -> None:
    """Write a person's decision."""
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


async def readdress_message(tx: Tx, message_id: UUID, recipient: Recipient, now: datetime) -> None:
    """Write where a draft goes now."""
    await tx.execute(
        SQL.readdress_message,
        id=message_id,
        to_address=clean(recipient.address),
        to_name=clean(recipient.name),
        now=now,
    )


def _columns(messages: Sequence[Message]) -> Mapping[str, object]:
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
        "parameters": [join(message.parameters) for message in messages],
        "placeholders": [join(message.placeholders) for message in messages],
        "writers": [clean(message.writer) for message in messages],
        "problem_codes": [
            join(problem.code for problem in message.problems) for message in messages
        ],
        "problem_details": [
            join(problem.detail for problem in message.problems) for message in messages
        ],
        "repeats": [message.repeats for message in messages],
        "earlier_message_ids": [message.earlier_message_id for message in messages],
        "decided_bys": [message.decided_by for message in messages],
    }
