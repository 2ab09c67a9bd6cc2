"""Decisions about drafts: approve, reject, edit, send; each within a transaction that is open."""

from collections.abc import Mapping, Sequence
from typing import Protocol
from uuid import UUID

import msgspec

from leadflood.contracts.ports.sender import Sender
from leadflood.contracts.ports.text import Draft, DraftRequest
from leadflood.contracts.values import Channel, SendsPolicy
from leadflood.domain.messaging import store
from leadflood.domain.messaging.form import check_form
from leadflood.domain.messaging.keys import Keys
from leadflood.domain.messaging.letter import require_settings
from leadflood.domain.messaging.schemas import (
    Decider,
    Edit,
    Message,
    MessageApproved,
    MessageRejected,
    MessageState,
    MessageView,
    Settings,
)
from leadflood.domain.messaging.sending import judge
from leadflood.engine.clock import Clock
from leadflood.engine.context import Defer, Deny
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import (
    Conflict,
    FieldProblem,
    Invalid,
    NotConfigured,
    NotFound,
    PreconditionFailed,
)
from leadflood.engine.ids import Ids
from leadflood.engine.queue.event import Event

_UNTRUSTED_ONLY = frozenset({"text.link", "text.email", "text.phone", "text.phrase", "text.sign"})
_NO_CLAIM = 0
_NO_JOB = UUID(int=0)
_DECIDED = {
    "intent.sending": ("message.sending", "it is on its way at this moment: look again"),
    "intent.accepted": ("message.sent", "it was sent already: write another message"),
    "intent.refused": ("message.refused", "its sending was refused: its code says why"),
    "intent.cancelled": ("message.cancelled", "its sending was cancelled: its code says why"),
    "intent.unknown": (
        "message.unknown",
        "it may have arrived already: say so with PUT /v1/admin/sending/unknown/{intentId}",
    ),
}
"""What stands against another sending, by the state of the first."""


class Publication(Protocol):
    """An open transaction that may publish events."""

    tx: Tx

    async def publish(
        self, events: Sequence[Event], *, run_id: UUID | None = None
    ) -> Sequence[UUID]:
        """Write events and their follow-up jobs."""


class Decisions:
    """What people decide about drafts. Everything is written in the caller's transaction."""

    def __init__(
        self,
        *,
        settings: Settings,
        clock: Clock,
        ids: Ids,
        keys: Keys,
        senders: Mapping[Channel, Sender],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._ids = ids
        self._keys = keys
        self._senders = senders

    async def approve(
        self, publication: Publication, message_id: UUID, decider: Decider
    ) -> MessageView:
        """Let a waiting message go; approving twice changes nothing.

        Raises: NotFound, Conflict, PreconditionFailed, NotConfigured (a setting without which
        nothing may leave).
        """
        decided = await self._lock(publication.tx, message_id, decider)
        if decided.message.state is not MessageState.APPROVED:
            await self._approve(publication, decided, decider)
        return await _view(publication.tx, message_id)

    async def send(
        self, publication: Publication, message_id: UUID, decider: Decider
    ) -> MessageView:
        """Approve a waiting message and send it at once; one that is ready goes to the front.

        What forbids the sending now is said now: the last word is still that of the sending
        itself. Raises: NotFound, Conflict (held, suppressed, sent, unknown, …), PreconditionFailed,
        NotConfigured.
        """
        tx = publication.tx
        decided = await self._lock(tx, message_id, decider)
        message = decided.message
        is_new = message.state is MessageState.WAITING
        if is_new:
            await self._approve(publication, decided, decider)
        _refuse_unless(message, MessageState.WAITING, MessageState.APPROVED)
        intent_id = await store.find_intent(tx, message_id, message.step)
        if intent_id is None:
            raise Conflict(f"message {message_id} has no sending", code="message.no_sending")
        await self._require_sendable(tx, intent_id)
        if message.channel not in self._senders:
            raise NotConfigured(
                f"no provider sends {message.channel}: give one its key in providers"
            )
        if not is_new:
            ready = MessageApproved(message.lead_id, message_id, intent_id)
            await publication.publish([ready], run_id=message.run_id)
        return await _view(tx, message_id)

    async def reject(
        self, publication: Publication, message_id: UUID, decider: Decider, reason: str = ""
    ) -> MessageView:
        """Keep a draft from going; rejecting twice changes nothing.

        Raises: NotFound, Conflict, PreconditionFailed.
        """
        tx = publication.tx
        message = (await self._lock(tx, message_id, decider)).message
        if message.state is not MessageState.REJECTED:
            _refuse_unless(message, MessageState.WAITING, MessageState.NEEDS_DATA)
            word = (decider.by, reason)
            now = self._clock.now()
            await store.decide_message(tx, message_id, MessageState.REJECTED, word, now)
            rejected = MessageRejected(message.lead_id, message_id)
            await publication.publish([rejected], run_id=message.run_id)
        return await _view(tx, message_id)

    async def edit(
        self, publication: Publication, message_id: UUID, decider: Decider, edit: Edit
    ) -> MessageView:
        """Put a person's text in place of the draft; it waits for approval again.

        Raises: NotFound, Conflict, PreconditionFailed, Invalid (blank, too long, a merge field
        left open).
        """
        message = (await self._lock(publication.tx, message_id, decider)).message
        _refuse_unless(message, MessageState.WAITING, MessageState.NEEDS_DATA)
        if message.channel is None:
            raise Conflict(f"there is no address to write to ({message.reason}): add one first")
        edited = self._edited(message, edit, decider.by)
        await store.edit_message(publication.tx, edited, self._clock.now())
        return await _view(publication.tx, message_id)

    async def _lock(self, tx: Tx, message_id: UUID, decider: Decider) -> store.Decided:
        decided = await store.lock_message(tx, message_id)
        if decided is None:
            raise no_message(message_id)
        await require_owned(tx, decided.message.lead_id, message_id, decider.owner)
        if decider.version not in (None, decided.version):
            raise PreconditionFailed(
                f"message {message_id} is at version {decided.version}, not {decider.version}",
                code="message.changed",
            )
        return decided

    async def _approve(
        self, publication: Publication, decided: store.Decided, decider: Decider
    ) -> None:
        message = decided.message
        _refuse_unless(message, MessageState.WAITING)
        if decided.lead_deleted:
            raise Conflict("its lead was deleted: restore the lead first", code="lead.deleted")
        if decided.run_cancelled or decided.sends in {None, SendsPolicy.NEVER}:
            raise Conflict(
                "its run was cancelled or never sends: start a run that may",
                code="run.never_sends",
            )
        require_settings(message.channel, self._settings)
        await self._make_ready(publication, message, decider.by)

    async def _make_ready(self, publication: Publication, message: Message, by: str) -> None:
        now = self._clock.now()
        await store.decide_message(publication.tx, message.id, MessageState.APPROVED, (by, ""), now)
        family = await store.find_family(publication.tx, message.lead_id)
        intent = store.NewIntent(id=self._ids.new(), message=message, lead_ids=family)
        await store.record_intents(publication.tx, [intent], self._keys, self._settings, now)
        approved = MessageApproved(message.lead_id, message.id, intent.id)
        await publication.publish([approved], run_id=message.run_id)

    async def _require_sendable(self, tx: Tx, intent_id: UUID) -> None:
        """Ask what the sending itself will ask. Raises: Conflict."""
        standing = (await store.judge_intents(tx, [intent_id]))[intent_id]
        verdict = judge(standing, _NO_CLAIM, _NO_JOB, self._clock.now(), 0.0)
        if isinstance(verdict, Defer):
            raise Conflict(
                "sending is held: release it first (DELETE /v1/admin/sending/hold)",
                code="sending.held",
            )
        if isinstance(verdict, Deny):
            code, text = _DECIDED.get(verdict.code, (f"message.{verdict.code}", verdict.reason))
            raise Conflict(text, code=code)

    def _edited(self, message: Message, edit: Edit, by: str) -> Message:
        parameters = message.parameters if edit.parameters is None else edit.parameters
        edited = msgspec.structs.replace(
            message,
            subject=store.clean(message.subject if edit.subject is None else edit.subject),
            body=store.clean(message.body if edit.body is None else edit.body),
            parameters=tuple(map(store.clean, parameters)),
            writer=f"person:{by}",
        )
        problems = [
            problem
            for problem in check_form(self._request(edited), _draft_of(edited))
            if problem.code not in _UNTRUSTED_ONLY
        ]
        if problems:
            fields = tuple(FieldProblem(one.code, one.detail) for one in problems)
            raise Invalid(f"the text cannot go out: {problems[0].code}", fields)
        return edited

    def _request(self, message: Message) -> DraftRequest:
        return DraftRequest(
            subject_id=str(message.lead_id),
            channel=message.channel or Channel.EMAIL,
            facts=(),
            offer="",
            sender_name=self._settings.sender_name,
            max_subject=self._settings.max_subject,
            max_body=self._settings.max_body,
            placeholders=message.placeholders,
        )


async def require_owned(db: Reader, lead_id: UUID, message_id: UUID, owner: str | None) -> None:
    """Hide messages to other people's leads from who sees his own only. Raises: NotFound."""
    if owner is not None and await store.find_owner(db, lead_id) != owner:
        raise no_message(message_id)


def no_message(message_id: UUID) -> NotFound:
    """Say that there is no such message."""
    return NotFound(f"there is no message {message_id}", code="message.not_found")


async def _view(tx: Tx, message_id: UUID) -> MessageView:
    view = await store.find_message(tx, message_id)
    if view is None:
        raise no_message(message_id)
    return view


def _draft_of(message: Message) -> Draft:
    return Draft(subject=message.subject, body=message.body, parameters=message.parameters)


def _refuse_unless(message: Message, *states: MessageState) -> None:
    if message.state not in states:
        wanted = " or ".join(states)
        raise Conflict(
            f"message {message.id} is {message.state}: only one that is {wanted} may be",
            code=f"message.{message.state}",
        )
