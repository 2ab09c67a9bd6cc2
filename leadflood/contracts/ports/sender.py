"""Sending: one message, once; and looking up afterwards whether it arrived."""

from datetime import datetime
from enum import StrEnum
from typing import Protocol, runtime_checkable

import msgspec

from leadflood.contracts.values import Channel


class OutgoingMessage(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a sender needs, already checked. Unused parts are empty.

    Attributes:
        intent_id: Our id of the send.
        subject_id: Our id of the person, opaque to the provider.
        reference: The stable Message-ID (in angle brackets on e-mail), the same on every look-up.
        channel: How it travels.
        to: The address or the phone number.
        to_name: The name of the recipient.
        from_address: The address of the sender.
        from_name: The name of the sender.
        reply_to: Where replies go.
        subject: The subject line.
        text: The body.
        unsubscribe_url: The link of the List-Unsubscribe header.
        unsubscribe_mailto: The address of the List-Unsubscribe header.
        template_id: The template of the channel.
        parameters: The values of its placeholders, in order.
    """

    intent_id: str
    subject_id: str
    reference: str
    channel: Channel
    to: str
    to_name: str = ""
    from_address: str = ""
    from_name: str = ""
    reply_to: str = ""
    subject: str = ""
    text: str = ""
    unsubscribe_url: str = ""
    unsubscribe_mailto: str = ""
    template_id: str = ""
    parameters: tuple[str, ...] = ()


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """The other side accepted it. `remote_id` is its id of the message, if it gives one."""

    remote_id: str = ""
    detail: str = ""


class Arrival(StrEnum):
    """The other side's answer about a message whose send was cut."""

    SENT = "sent"
    NOT_SENT = "not_sent"
    CANNOT_TELL = "cannot_tell"


@runtime_checkable
class Sender(Protocol):
    """Sends messages on one channel, through the gate, as effects."""

    name: str
    channel: Channel

    async def send(self, message: OutgoingMessage) -> Receipt:
        """Hand one message over.

        Raises: Transient only where the other side certainly did nothing, ProviderRefused when
        it says no, Unsure when it may have arrived.
        """

    async def look_up(self, message: OutgoingMessage, since: datetime) -> Arrival:
        """Return whether a message whose answer was lost has arrived."""
