"""Writing a text from numbered facts."""

from typing import Protocol, runtime_checkable

import msgspec

from leadflood.contracts.values import Channel, Micros


class NumberedFact(msgspec.Struct, frozen=True):
    """One thing that may be said: its number, what it is about, and its value as text."""

    number: int
    field: str
    text: str


class DraftRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to write: only from `facts`, for one channel, within the limits (characters).

    `placeholders` are the names of a WhatsApp template's parameters; empty elsewhere.
    """

    subject_id: str
    channel: Channel
    facts: tuple[NumberedFact, ...]
    offer: str
    sender_name: str
    language: str = "en"
    max_subject: int = 120
    max_body: int = 1200
    placeholders: tuple[str, ...] = ()


class Claim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sentence of the draft and the numbers of the facts that carry it."""

    text: str
    facts: tuple[int, ...]


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A text as its writer made it, unchecked. `writer` names it (provider:model)."""

    subject: str
    body: str
    parameters: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = ()
    writer: str = ""
    cost_micros: Micros = 0


@runtime_checkable
class TextWriter(Protocol):
    """Can write a draft."""

    name: str

    async def write_draft(self, request: DraftRequest) -> Draft:
        """Write one draft; ProviderRefused when the model refuses or breaks the schema twice."""
