"""Text: a draft written from numbered facts."""

from typing import Protocol, runtime_checkable

import msgspec

from leadflood.contracts.values import Channel, Micros


class NumberedFact(msgspec.Struct, frozen=True):
    """A fact that a draft may use: its number, what it is about, and its value as text."""

    number: int
    field: str
    text: str


class Claim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sentence of the draft and the numbers of the facts that support it."""

    text: str
    facts: tuple[int, ...]


class RefusedDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A draft that did not pass, and why: `problems` name a code and the words at fault."""

    subject: str
    body: str
    parameters: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = ()
    problems: tuple[str, ...] = ()


class DraftRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A text to write.

    Attributes:
        subject_id: Our id of the person, opaque to the writer.
        channel: How the message travels.
        facts: All that may be said of the person and their company.
        offer: What is offered.
        sender_name: Who signs.
        language: The language of the draft.
        max_subject: The most characters of the subject.
        max_body: The most characters of the body.
        placeholders: The names of a template's parameters; empty where there is no template.
        refused: The draft that this one takes the place of; None: it is the first.
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
    refused: RefusedDraft | None = None


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A text as its writer made it, unchecked.

    Attributes:
        subject: The subject line.
        body: The body.
        parameters: The values of a template's placeholders, in order.
        claims: The sentences about the person, with their facts.
        writer: Who wrote it (`provider:model`).
        cost_micros: What it cost.
    """

    subject: str
    body: str
    parameters: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = ()
    writer: str = ""
    cost_micros: Micros = 0


@runtime_checkable
class TextWriter(Protocol):
    """Writes drafts."""

    name: str

    async def write_draft(self, request: DraftRequest) -> Draft:
        """Return one draft.

        Raises: ProviderRefused when the model refuses, or breaks the schema twice.
        """
