"""Templates, the facts a draft may use, and what drafting returns."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.contracts.ports.text import Claim
from leadflood.contracts.values import Channel
from leadflood.domain.leads.schemas.profiles import LeadProfile
from leadflood.domain.sending.schemas import Settings as SendingSettings

Line = Annotated[str, msgspec.Meta(max_length=500)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
Text = Annotated[str, msgspec.Meta(max_length=20_000)]


SUPPRESSED = "suppressed"
"""Why there is no draft: nothing may be sent to the person where they could be written to."""


class Settings(SendingSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How messages are written; with `[messaging]`'s settings of sending.

    `language` and `template_name` name the template that drafts are written from.
    `whatsapp_parameters` are Jinja2, one for each of `whatsapp_placeholders`.
    `allowed_links` may stand in a message although no fact proves them.
    `fact_max_age_days`: a value that was seen longer ago is not spoken of.
    `max_subject` and `max_body` are in characters.
    `revisions`: how often a writer is asked again whose draft was refused; each is a paid call.
    """

    language: str = "en"
    template_name: str = "first_touch"
    whatsapp_template_id: str = ""
    whatsapp_placeholders: tuple[str, ...] = ()
    whatsapp_parameters: tuple[str, ...] = ()
    allowed_links: tuple[str, ...] = ()
    fact_max_age_days: float = 365.0
    max_subject: int = 120
    max_body: int = 1200
    revisions: Annotated[int, msgspec.Meta(ge=0, le=3)] = 1


class DraftProblem(msgspec.Struct, frozen=True):
    """One reason why a draft is not let through: a stable code and the words at fault."""

    code: str
    detail: str


class ProvenFact(msgspec.Struct, frozen=True, kw_only=True):
    """A numbered fact with the stored value that proves it."""

    number: int
    field: str
    text: str
    field_value_id: UUID


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """A text with merge fields (Jinja2). WhatsApp: what is merged are the parameters only."""

    name: str
    version: int
    channel: Channel
    language: str = "en"
    subject: str = ""
    body: str = ""
    whatsapp_template_id: str = ""
    placeholders: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()


class TemplateInput(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """A text with merge fields as a person writes it.

    E-mail: `subject` and `body`. WhatsApp: `whatsappTemplateId` as the provider knows it, and one
    of `parameters` for each of `placeholders`.
    """

    name: Name
    channel: Channel
    language: Annotated[str, msgspec.Meta(min_length=1, max_length=20)] = "en"
    subject: Line = ""
    body: Text = ""
    whatsapp_template_id: Line = ""
    placeholders: Annotated[tuple[Name, ...], msgspec.Meta(max_length=50)] = ()
    parameters: Annotated[tuple[Text, ...], msgspec.Meta(max_length=50)] = ()


class TemplateView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A version of a text. `isUsed`: drafts are written from the newest version of this text.

    `id` null and `version` 0: it is built in, nobody here has written it.
    """

    id: UUID | None
    name: str
    version: int
    channel: Channel
    language: str
    subject: str
    body: str
    whatsapp_template_id: str
    placeholders: tuple[str, ...]
    parameters: tuple[str, ...]
    created_at: datetime | None
    created_by: str | None
    is_used: bool = False


class TemplateVersion(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """When a version of a text was written, and by whom."""

    id: UUID
    version: int
    created_at: datetime
    created_by: str


class TemplateDetail(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A version of a text, and all versions of it, newest first."""

    template: TemplateView
    versions: tuple[TemplateVersion, ...]


class TemplatePreview(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A preview of a draft. `reason` not empty: it would not go, as a message says it.

    `value:title`: the lead has no title. `text:…`: the first of `problems`.
    """

    reason: str
    subject: str = ""
    body: str = ""
    parameters: tuple[str, ...] = ()
    problems: tuple[DraftProblem, ...] = ()


class DraftInput(msgspec.Struct, frozen=True, kw_only=True):
    """The input of a draft.

    `offer` is what the ICP offers. `may_whatsapp`: the person agreed to it.
    `stopped`: the channels on which nothing may be sent to them.
    `may_ask_writer` False: the text is not worth a writer's price.
    `templates` are the stored ones by channel. `attempts` is how often this was tried.
    """

    profile: LeadProfile
    offer: str
    may_whatsapp: bool
    may_ask_writer: bool
    templates: Mapping[Channel, Template]
    attempts: int
    stopped: frozenset[Channel] = frozenset()


class DraftResult(msgspec.Struct, frozen=True, kw_only=True):
    """A text with the proof of what it says. `reason` not empty: why there is none.

    `channel` None: there is no address to write to.
    `problems` are those of refused drafts too.
    """

    reason: str = ""
    channel: Channel | None = None
    to_address: str = ""
    subject: str = ""
    body: str = ""
    template_id: str = ""
    parameters: tuple[str, ...] = ()
    placeholders: tuple[str, ...] = ()
    writer: str = ""
    problems: tuple[DraftProblem, ...] = ()
    claims: tuple[Claim, ...] = ()
    facts: tuple[ProvenFact, ...] = ()
