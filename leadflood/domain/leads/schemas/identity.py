"""People as sources name them, their identity keys, and the leads they turn out to be."""

from uuid import UUID

import msgspec

from leadflood.contracts.found_values import FoundValue
from leadflood.contracts.values import FieldName
from leadflood.domain.leads.schemas.lead_states import LeadStatus

HUMAN_SOURCE = "user"
"""The source of what a person typed; it wins over any provider."""

API_SOURCE = "api"
"""The source of what a caller of the API says of a new lead."""

IDENTIFYING = frozenset(
    {
        FieldName.EMAIL,
        FieldName.LINKEDIN_URL,
        FieldName.COMPANY_DOMAIN,
        FieldName.FULL_NAME,
        FieldName.FIRST_NAME,
        FieldName.LAST_NAME,
        FieldName.PHONE,
        FieldName.MOBILE_PHONE,
        FieldName.CITY,
        FieldName.COUNTRY,
        FieldName.COMPANY_NAME,
        FieldName.COMPANY_COUNTRY,
    }
)
"""The fields whose values make identity keys."""

MAX_KEY = 400

ROW = "row"
PARTS = frozenset({"part_domain", "part_company"})
WEAK_KINDS = frozenset(
    {
        *("name_domain", "name_company", "name_phone", "name_mailbox", "mailbox", "organisation"),
        *PARTS,
        ROW,
    }
)
"""The kinds of keys that two people, or two companies, may share.

- `name_domain`, `name_company`, `name_phone`, `name_mailbox`: a person's name beside the domain,
  the company, the phone or the shared mailbox by which they are reached.
- `mailbox`: an address that is a role's, or that was found by a name and proves no more than that.
- `organisation`: a company's name beside its place, or its phone.
- `part_domain`, `part_company`: a part of a name, such as a first name, beside them: it joins
  nobody, and is what a person is asked about.
- `row`: all that a row of a file says: the same row again is the same lead.
"""

NAMED = "name_"
"""How every kind of key begins that is a person's name beside something: it is weak."""


class IdentityKey(msgspec.Struct, frozen=True, order=True):
    """A key by which records are found to be of one lead.

    A strong key is one person's, or one organisation's, alone: `email` (a personal mailbox),
    `linkedin`, `linkedin_pub`, `linkedin_member` (a person's profile, by how its address names
    them), `provider:NAME`, `external:SOURCE`, `company` (an organisation by its domain).
    """

    kind: str
    value: str

    @property
    def is_strong(self) -> bool:
        """Whether nobody else has it."""
        return self.kind not in WEAK_KINDS and not self.kind.startswith(NAMED)

    @property
    def may_join(self) -> bool:
        """Whether it can make two records one by itself."""
        return self.kind not in PARTS


class LeadIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """A lead with all that are one with it, as the search for duplicates compares it.

    `names` are a person's, `organisations` those of an organisation that is a lead itself;
    `companies` are where a person works; all are folded.
    """

    id: UUID
    names: tuple[str, ...]
    organisations: tuple[str, ...]
    companies: tuple[str, ...]
    keys: tuple[IdentityKey, ...]
    kept_apart: frozenset[UUID]


class NewPerson(msgspec.Struct, frozen=True, kw_only=True):
    """A person as somebody names it; `keys` beside those that follow from the values.

    `external_ids`: each a system and the id there. `status`, `owner` and `tags` are those of
    a new lead; `owner` None: nobody's.
    """

    source: str
    values: tuple[FoundValue, ...]
    external_ids: tuple[tuple[str, str], ...] = ()
    keys: tuple[IdentityKey, ...] = ()
    status: LeadStatus = LeadStatus.NEW
    owner: str | None = None
    tags: tuple[str, ...] = ()


class Upserted(msgspec.Struct, frozen=True):
    """The lead that a person is; `is_deleted`: somebody deleted it, so nothing is done for it.

    `new_keys` are those that a known lead got by it, `merged` the leads that turned out to be it.
    `merged_into`: the lead is new, and known at once to be this older one; None: it is not.
    """

    lead_id: UUID
    is_new: bool
    is_deleted: bool = False
    new_keys: tuple[IdentityKey, ...] = ()
    merged: tuple[UUID, ...] = ()
    merged_into: UUID | None = None


class LeadValues(msgspec.Struct, frozen=True, kw_only=True):
    """New values of a lead, and its status; `status` None leaves it as it is.

    `keys` are identity keys not known before; `failed_code` goes with status failed only.
    """

    lead_id: UUID
    values: tuple[FoundValue, ...] = ()
    keys: tuple[IdentityKey, ...] = ()
    status: LeadStatus | None = None
    failed_code: str | None = None


class ResolvedLead(msgspec.Struct, frozen=True):
    """The survivor of a lead; `merged_now` lists the leads that this transaction merged away."""

    lead_id: UUID
    survivor_id: UUID
    merged_now: tuple[UUID, ...] = ()


class LeadLoss(msgspec.Struct, frozen=True, kw_only=True):
    """The loss of a lead that stays when another one is withdrawn from it.

    - `keys`: identity keys that are its own no more.
    - `tags`: tags that it has no more.
    - `merged`: leads that are no longer the same.
    - `has_lost_domain`: whether what said where it works was deleted.
    """

    lead_id: UUID
    keys: tuple[IdentityKey, ...] = ()
    tags: frozenset[str] = frozenset()
    merged: frozenset[UUID] = frozenset()
    has_lost_domain: bool = False
