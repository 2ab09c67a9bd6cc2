"""Sending one message, once; and asking afterwards whether it went."""

from datetime import datetime
from enum import StrEnum
from typing import Protocol, runtime_checkable

import msgspec

from leadflood.contracts.values import Channel


class OutgoingMessage(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a sender needs, already checked. Unused parts are empty.

    `reference` is the stable Message-ID (with angle brackets on e-mail), the same on every look.
    `unsubscribe_url` and `unsubscribe_mailto` make the List-Unsubscribe header.
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
    """The other side took it. `remote_id` is its name for the message; empty when not told."""

    remote_id: str = ""
    detail: str = ""


class Arrival(StrEnum):
    """What the other side says of a message whose sending was cut."""

    SENT = "sent"
    NOT_SENT = "not_sent"
    CANNOT_TELL = "cannot_tell"


@runtime_checkable
class Sender(Protocol):
    """Can send one message on one channel, through the gate, as an effect."""

    name: str
    channel: Channel

    async def send(self, message: OutgoingMessage) -> Receipt:
        """Hand it over.

        Raises: Transient only where the other side certainly did nothing, ProviderRefused when
        it says no, Unsure when it may have arrived.
        """

    async def look_up(self, message: OutgoingMessage, since: datetime) -> Arrival:
        """Ask whether a message whose answer was lost has arrived."""
