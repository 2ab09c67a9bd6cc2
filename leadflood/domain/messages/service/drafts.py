"""Drafted messages, written with their facts and, where they go at once, their intents."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.domain.drafting.service.texts import locate_claims
from leadflood.domain.messages import repository
from leadflood.domain.messages.schemas import Message, MessageState
from leadflood.domain.messages.service.approval import make_intent
from leadflood.domain.sending.service.outbox import Outbox
from leadflood.engine.db.tx import Tx


class DraftedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message ready to be stored; `intent_id` is used when it is approved."""

    message: Message
    intent_id: UUID


async def record_drafts(
    tx: Tx, drafts: Sequence[DraftedMessage], outbox: Outbox, now: datetime
) -> frozenset[UUID]:
    """Write drafted messages, and return those that are new (the others existed already)."""
    if not drafts:
        return frozenset()
    messages = [draft.message for draft in drafts]
    await repository.drop_failed(tx, messages)
    new_ids = await repository.add_messages(tx, messages, now)
    await _add_facts(tx, [message for message in messages if message.id in new_ids])
    intents = [
        make_intent(draft.intent_id, draft.message)
        for draft in drafts
        if draft.message.id in new_ids and draft.message.state is MessageState.APPROVED
    ]
    await outbox.add(tx, intents)
    return new_ids


async def _add_facts(tx: Tx, messages: Sequence[Message]) -> None:
    facts = []
    for message in messages:
        spans = locate_claims(message.body, message.parameters, message.claims)
        facts += [(message.id, fact, spans) for fact in message.facts]
    await repository.add_facts(tx, facts)
