"""Messages as they are drafted, approved, sent and read."""

from uuid import UUID

from typing_extensions import override

from leadflood.engine.queue.event import Event


class MessageDrafted(Event, frozen=True, tag="messaging.message.drafted"):
    """A draft exists and waits for approval, or was not wanted."""

    lead_id: UUID
    icp_id: UUID
    message_id: UUID

    @override
    def subject(self) -> UUID:
        return self.lead_id


class MessageApproved(Event, frozen=True, tag="messaging.message.approved"):
    """A person or autopilot said yes; its intent is ready."""

    lead_id: UUID
    message_id: UUID
    intent_id: UUID

    @override
    def subject(self) -> UUID:
        return self.lead_id

    @override
    def job_key(self) -> str:
        return str(self.intent_id)


class MessageAccepted(Event, frozen=True, tag="messaging.message.accepted"):
    """The other side took it."""

    lead_id: UUID
    message_id: UUID
    intent_id: UUID

    @override
    def subject(self) -> UUID:
        return self.lead_id


class MessageRefused(Event, frozen=True, tag="messaging.message.refused"):
    """It will not go: the other side or `authorize` said no; `code` says why."""

    lead_id: UUID
    message_id: UUID
    intent_id: UUID
    code: str

    @override
    def subject(self) -> UUID:
        return self.lead_id


class MessageUnknown(Event, frozen=True, tag="messaging.message.unknown"):
    """It may have arrived: asked for, never sent again."""

    lead_id: UUID
    message_id: UUID
    intent_id: UUID

    @override
    def subject(self) -> UUID:
        return self.lead_id
