"""Leads as callers write them."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.contracts.normalization.text import MAX_TEXT
from leadflood.contracts.values import OptOutChannel


class CreatedLead(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A lead is in; `jobId` is its first step, `runId` the whole of its way."""

    lead_id: UUID
    job_id: UUID
    run_id: UUID


class OptInEvidence(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """The proof that a person agreed to be written to on a channel.

    `wording` is the text they agreed to, `source` where that was: a form's address, a file, a
    call. `obtainedAt` null: now.
    """

    wording: Annotated[str, msgspec.Meta(min_length=1, max_length=2_000)]
    source: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    obtained_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class OptInInput(
    OptInEvidence, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """A channel that the person has agreed to, with what proves it."""

    channel: Annotated[str, msgspec.Meta(max_length=40)]


OptIns = Annotated[tuple[OptInInput | str, ...], msgspec.Meta(max_length=10)]


Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]


class LeadInput(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """A lead as the API takes it. Empty means not known.

    Something that identifies the lead must be there: an e-mail, a LinkedIn address, a name with
    the company's domain, its name or a phone; of an organisation its domain, or its name with a
    city, a country or a phone. `opt_in` lists the channels the person has agreed to, each with what
    proves it; of a channel that is named alone, the request itself is the evidence. `opt_out` lists
    what the person said no to: the addresses are suppressed, and the person is, at whichever
    address of theirs is found later. It counts also where the lead is refused because it is known
    already; then its addresses alone.
    """

    email: Text = ""
    first_name: Text = ""
    last_name: Text = ""
    full_name: Text = ""
    title: Text = ""
    phone: Text = ""
    mobile_phone: Text = ""
    linkedin_url: Text = ""
    city: Text = ""
    region: Text = ""
    country: Text = ""
    company_name: Text = ""
    company_domain: Text = ""
    company_industry: Text = ""
    company_size: int | Text = ""
    company_country: Text = ""
    company_technologies: Annotated[tuple[Text, ...], msgspec.Meta(max_length=200)] = ()
    opt_in: OptIns = ()
    opt_out: Annotated[tuple[OptOutChannel, ...], msgspec.Meta(max_length=10)] = ()


Line = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
OptionalLine = Line | msgspec.UnsetType | None
Technologies = Annotated[tuple[Line, ...], msgspec.Meta(min_length=1, max_length=200)]


class LeadChange(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """A person's correction of a lead. Left out: stays as it is; null: there is none.

    A person's word wins over any provider's, also the word that there is no value. What it takes
    the place of stays in the history.
    """

    email: OptionalLine = msgspec.UNSET
    first_name: OptionalLine = msgspec.UNSET
    last_name: OptionalLine = msgspec.UNSET
    full_name: OptionalLine = msgspec.UNSET
    title: OptionalLine = msgspec.UNSET
    phone: OptionalLine = msgspec.UNSET
    mobile_phone: OptionalLine = msgspec.UNSET
    linkedin_url: OptionalLine = msgspec.UNSET
    city: OptionalLine = msgspec.UNSET
    region: OptionalLine = msgspec.UNSET
    country: OptionalLine = msgspec.UNSET
    company_name: OptionalLine = msgspec.UNSET
    company_domain: OptionalLine = msgspec.UNSET
    company_industry: OptionalLine = msgspec.UNSET
    company_size: Annotated[int, msgspec.Meta(ge=1, le=10**8)] | OptionalLine = msgspec.UNSET
    company_country: OptionalLine = msgspec.UNSET
    company_technologies: Technologies | msgspec.UnsetType | None = msgspec.UNSET
