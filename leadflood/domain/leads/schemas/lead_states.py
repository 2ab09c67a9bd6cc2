"""States of leads: status, ownership, tags, deletion."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

MOST_TAGS = 50
"""How many tags a lead has at most."""


class LeadStatus(StrEnum):
    """The status of a lead."""

    NEW = "new"
    PROCESSING = "processing"
    ENRICHED = "enriched"
    FAILED = "failed"


class LeadState(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a lead's row that people change; `owner` None: nobody's.

    `deleted_at` None: it is there. `merged_into` None: it stands for itself.
    """

    id: UUID
    version: int
    owner: str | None = None
    tags: tuple[str, ...] = ()
    deleted_at: datetime | None = None
    deleted_by: str | None = None
    merged_into: UUID | None = None

    def tags_with(self, tag: str) -> tuple[str, ...]:
        """Return the tags with one more, in the order of the alphabet."""
        return self.tags if tag in self.tags else tuple(sorted((*self.tags, tag)))

    def tags_without(self, tag: str) -> tuple[str, ...]:
        """Return the tags but for one."""
        return tuple(name for name in self.tags if name != tag)


class DeletedLead(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A lead that somebody deleted, as it was known; null: not known, or nobody's."""

    id: UUID
    version: int
    full_name: str | None
    email: str | None
    company_name: str | None
    owner: str | None
    tags: tuple[str, ...]
    deleted_at: datetime
    deleted_by: str | None


class TagCount(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A tag and how many leads have it; beyond 10,000 the count stops and is a least."""

    tag: str
    lead_count: int
    is_at_least: bool
