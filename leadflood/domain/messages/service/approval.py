"""Approval: people approve, reject, edit and send drafts, each in the caller's transaction."""

from uuid import UUID

import msgspec

from leadflood.contracts.values import Channel, SendsPolicy
from leadflood.domain.drafting.schemas import Settings
from leadflood.domain.messages import repository
from leadflood.domain.messages.repository import LockedMessage
from leadflood.domain.messages.schemas import (
    Decider,
    Edit,
    Message,
    MessageRejected,
    MessageState,
    MessageView,
)
from leadflood.domain.messages.service.editing import apply_edit
from leadflood.domain.messages.service.messages import get_message, no_message, require_visible
from leadflood.domain.messages.service.recipient import find_recipient
from leadflood.domain.sending.schemas import HELD, MessageApproved, NewIntent
from leadflood.domain.sending.service.outbox import Outbox
from leadflood.engine.clock import Clock
from leadflood.engine.context import Defer, Deny, SendDecision
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import Conflict, PreconditionFailed
from leadflood.engine.ids import Ids
from leadflood.engine.queue.publisher import PublishingTransaction

_SENT_BEFORE = {
    "intent.sending": ("message.sending", "it is on its way at this moment: look again"),
    "intent.accepted": ("message.sent", "it was sent already: write another message"),
    "intent.refused": ("message.refused", "its sending was refused: its code says why"),
    "intent.cancelled": ("message.cancelled", "its sending was cancelled: its code says why"),
    "intent.unknown": (
        "message.unknown",
        "it may have arrived already: say so with PUT /v1/admin/sending/unknown/{intentId}",
    ),
}
"""The objection to another send, by the state of the first."""


class MessageApproval:
    """Approval: people's decisions about drafts."""

    def __init__(self, settings: Settings, clock: Clock, ids: Ids, outbox: Outbox) -> None:
        self._settings = settings
        self._clock = clock
        self._ids = ids
        self._outbox = outbox

    async def approve(
        self, publication: PublishingTransaction, message_id: UUID, decider: Decider
    ) -> MessageView:
        """Approve a waiting message; approving twice changes nothing.

        Its recipient is judged as sending itself would judge them now.
        Raises: NotFound, Conflict (suppressed, at another address by now, written to before, …),
        PreconditionFailed.
        """
        locked = await _lock(publication.tx, message_id, decider)
        if locked.message.state is not MessageState.APPROVED:
            await self._approve(publication, locked, decider)
        elif decider.repeats:
            await self._repeat(publication, locked.message)
        return await get_message(publication.tx, message_id, self._outbox)

    async def send(
        self, publication: PublishingTransaction, message_id: UUID, decider: Decider
    ) -> MessageView:
        """Approve a waiting message and send it at once; one that is ready goes to the front.

        What forbids the send now is refused now; the send itself still has the last word.
        Raises: NotFound, Conflict (held, suppressed, sent, unknown, …), PreconditionFailed,
        NotConfigured.
        """
        tx = publication.tx
        locked = await _lock(tx, message_id, decider)
        message = locked.message
        is_new = message.state is MessageState.WAITING
        if is_new:
            await self._approve(publication, locked, decider)
        _require_state(message, MessageState.WAITING, MessageState.APPROVED)
        if decider.repeats and not is_new:
            await self._repeat(publication, message)
        intent_id = await self._outbox.find(tx, message_id, message.step)
        if intent_id is None:
            raise Conflict(f"message {message_id} has no sending", code="message.no_sending")
        _require_allowed(await self._outbox.check(tx, intent_id))
        self._outbox.require_settings(message.channel)
        if not is_new:
            ready = MessageApproved(message.lead_id, message_id, intent_id)
            await publication.publish([ready], run_id=message.run_id)
        return await get_message(tx, message_id, self._outbox)

    async def reject(
        self,
        publication: PublishingTransaction,
        message_id: UUID,
        decider: Decider,
        reason: str = "",
    ) -> MessageView:
        """Keep a draft from going; rejecting twice changes nothing.

        Raises: NotFound, Conflict, PreconditionFailed.
        """
        tx = publication.tx
        message = (await _lock(tx, message_id, decider)).message
        if message.state is not MessageState.REJECTED:
            _require_state(message, MessageState.WAITING, MessageState.NEEDS_DATA)
            await repository.decide_message(
                tx,
                message_id,
                MessageState.REJECTED,
                by=decider.by,
                reason=reason,
                now=self._clock.now(),
            )
            rejected = MessageRejected(message.lead_id, message_id)
            await publication.publish([rejected], run_id=message.run_id)
        return await get_message(tx, message_id, self._outbox)

    async def edit(self, tx: Tx, message_id: UUID, decider: Decider, edit: Edit) -> MessageView:
        """Put a person's text in place of the draft, or what its lead is written to at now.

        It waits for approval again. Raises: NotFound, Conflict, PreconditionFailed, Invalid
        (blank, too long, a merge field left open).
        """
        message = (await _lock(tx, message_id, decider)).message
        _require_state(message, MessageState.WAITING, MessageState.NEEDS_DATA)
        if message.channel is None:
            raise Conflict(f"there is no address to write to ({message.reason}): add one first")
        now = self._clock.now()
        if edit.readdress:
            recipient = await find_recipient(tx, message.lead_id, message.channel)
            await repository.readdress_message(tx, message_id, recipient, now)
        if edit.changes_text or not edit.readdress:
            edited = apply_edit(message, edit, decider.by, self._settings)
            await repository.edit_message(tx, edited, now)
        return await get_message(tx, message_id, self._outbox)

    async def _approve(
        self, publication: PublishingTransaction, locked: LockedMessage, decider: Decider
    ) -> None:
        _require_approvable(locked)
        message, tx = locked.message, publication.tx
        await repository.decide_message(
            tx, message.id, MessageState.APPROVED, by=decider.by, now=self._clock.now()
        )
        repeats = decider.repeats or message.repeats
        intent = make_intent(self._ids.new(), msgspec.structs.replace(message, repeats=repeats))
        await self._outbox.add(tx, [intent])
        _require_not_denied(await self._outbox.check(tx, intent.id))
        approved = MessageApproved(message.lead_id, message.id, intent.id)
        await publication.publish([approved], run_id=message.run_id)

    async def _repeat(self, publication: PublishingTransaction, message: Message) -> None:
        """Let an approved message go although its person got one; once sent, it stays so."""
        intent_id = await self._outbox.repeat(publication.tx, message.id, message.step)
        if intent_id is not None:
            _require_not_denied(await self._outbox.check(publication.tx, intent_id))
            ready = MessageApproved(message.lead_id, message.id, intent_id)
            await publication.publish([ready], run_id=message.run_id)


def make_intent(intent_id: UUID, message: Message) -> NewIntent:
    """Return the intent of a message."""
    return NewIntent(
        id=intent_id,
        message_id=message.id,
        lead_id=message.lead_id,
        run_id=message.run_id,
        step=message.step,
        channel=message.channel or Channel.EMAIL,
        to_address=message.to_address,
        repeats=message.repeats,
    )


async def _lock(tx: Tx, message_id: UUID, decider: Decider) -> LockedMessage:
    locked = await repository.lock_message(tx, message_id)
    if locked is None:
        raise no_message(message_id)
    await require_visible(tx, locked.message.lead_id, message_id, decider.visibility)
    if decider.version not in (None, locked.version):
        raise PreconditionFailed(
            f"message {message_id} is at version {locked.version}, not {decider.version}",
            code="message.version_conflict",
        )
    return locked


def _require_approvable(locked: LockedMessage) -> None:
    """Refuse what may not go whatever the person wants. Raises: Conflict."""
    _require_state(locked.message, MessageState.WAITING)
    if locked.lead_deleted:
        raise Conflict("its lead was deleted: restore the lead first", code="lead.deleted")
    if locked.run_cancelled or locked.sends in {None, SendsPolicy.NEVER}:
        raise Conflict(
            "its run was cancelled or never sends: start a run that may",
            code="run.never_sends",
        )


def _require_allowed(decision: SendDecision) -> None:
    """Refuse what the send itself would be refused. Raises: Conflict."""
    if isinstance(decision, Defer) and decision.reason == HELD:
        raise Conflict(
            "sending is held: release it first (DELETE /v1/admin/sending/hold)",
            code="sending.held",
        )
    if isinstance(decision, Defer):
        raise Conflict(decision.reason, code="message.person_under_way")
    _require_not_denied(decision)


def _require_not_denied(decision: SendDecision) -> None:
    """Refuse what no release of sending would let go. Raises: Conflict."""
    if isinstance(decision, Deny):
        denial = (f"message.{decision.code}", decision.reason)
        code, text = _SENT_BEFORE.get(decision.code, denial)
        raise Conflict(text, code=code)


def _require_state(message: Message, *states: MessageState) -> None:
    if message.state not in states:
        raise Conflict(
            f"message {message.id} is {message.state}: only one that is {' or '.join(states)}"
            " may be",
            code=f"message.{message.state}",
        )
