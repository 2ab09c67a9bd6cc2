"""Row marks: the tags that a row gives its lead, and whose a new lead is to be."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from leadflood.contracts.normalization.lists import split_list
from leadflood.contracts.normalization.tags import normalize_tag
from leadflood.contracts.normalization.text import clean_text
from leadflood.domain.imports.schemas.column_fields import ColumnField
from leadflood.domain.imports.schemas.mappings import ImportPlan
from leadflood.domain.imports.schemas.rows import ImportRow, RowState
from leadflood.domain.leads.schemas.identity import Upserted
from leadflood.domain.leads.schemas.lead_states import MOST_TAGS, LeadState
from leadflood.engine.errors import LeadfloodError


class LeadMarks(msgspec.Struct, frozen=True, kw_only=True):
    """What the rows of a lead say of it beside values.

    - `is_new`: whether the file brought it.
    - `tags`: the tags that they give it.
    - `owner`: the address of the user whose it is to be; None: they do not say.
    """

    is_new: bool
    tags: tuple[str, ...]
    owner: str | None


class MarkReader:
    """Reads the columns of tags and owners; nothing else of a row is in them."""

    def __init__(self, fields: Sequence[ColumnField | None]) -> None:
        self._tags = _places(fields, ColumnField.TAGS)
        self._owners = _places(fields, ColumnField.OWNER)
        self.columns = frozenset({*self._tags, *self._owners})

    def read(self, cells: Sequence[str]) -> tuple[tuple[str, ...], str | None, list[str]]:
        """Return the tags and the owner that a row names, and notes on what is neither."""
        texts = [cells[column] for column in self._tags if column < len(cells)]
        tags, notes = read_tags(", ".join(texts))
        owners = (clean_text(cells[column]) for column in self._owners if column < len(cells))
        return tags, next(filter(None, owners), None), notes


def _places(fields: Sequence[ColumnField | None], field: ColumnField) -> list[int]:
    return [column for column, each in enumerate(fields) if each is field]


def read_tags(text: str) -> tuple[tuple[str, ...], list[str]]:
    """Return the tags of a cell, and notes on those that are none."""
    tags: list[str] = []
    notes = []
    for part in split_list(text):
        try:
            tags.append(normalize_tag(part))
        except LeadfloodError:
            notes.append(f"{ColumnField.TAGS.value}: {part[:60]!r} is not understood")
    return tuple(dict.fromkeys(tags)), notes


def marks_of(
    rows: Sequence[ImportRow],
    leads: Sequence[Upserted],
    outcomes: Sequence[RowState],
    plan: ImportPlan,
) -> dict[UUID, LeadMarks]:
    """Return the marks of the leads that rows may change; doubles get no tags of the plan."""
    marks: dict[UUID, LeadMarks] = {}
    for row, lead, outcome in zip(rows, leads, outcomes, strict=True):
        if lead.is_deleted:
            continue
        before = marks.get(lead.lead_id) or LeadMarks(is_new=False, tags=(), owner=None)
        is_first = lead.is_new or outcome is RowState.UPDATED
        tags = (*before.tags, *row.tags, *(plan.tags if is_first else ()))
        marks[lead.lead_id] = LeadMarks(
            is_new=before.is_new or lead.is_new,
            tags=tags,
            owner=before.owner or (row.owner if lead.is_new else None),
        )
        survivor = marked_lead(lead)
        if row.tags and survivor != lead.lead_id:
            known = marks.get(survivor) or LeadMarks(is_new=False, tags=(), owner=None)
            marks[survivor] = msgspec.structs.replace(known, tags=(*known.tags, *row.tags))
    return marks


def marked_lead(lead: Upserted) -> UUID:
    """Return the lead that the tags of a row are for: of a merged one the older one."""
    return lead.merged_into or lead.lead_id


def plan_changes(
    states: Mapping[UUID, LeadState],
    marks: Mapping[UUID, LeadMarks],
    plan: ImportPlan,
    users: Mapping[str, str],
) -> list[tuple[LeadState, LeadState]]:
    """Return the leads whose owner or tags change, before and after; `users` by their address."""
    changes = []
    for lead_id, state in states.items():
        mark = marks[lead_id]
        named = users.get((mark.owner or "").casefold(), plan.owner)
        new_tags = [tag for tag in dict.fromkeys(mark.tags) if tag not in state.tags]
        room = max(MOST_TAGS - len(state.tags), 0)
        changed = msgspec.structs.replace(
            state,
            owner=named if mark.is_new else state.owner,
            tags=tuple(sorted({*state.tags, *new_tags[:room]})),
        )
        if changed != state:
            changes.append((state, changed))
    return changes


def owner_note(row: ImportRow, users: Mapping[str, str], plan: ImportPlan) -> tuple[str, ...]:
    """Return what is to be said where a row names an owner that its lead does not get."""
    if row.owner is None or row.owner.casefold() in users:
        return ()
    if plan.visibility.is_limited:
        return ("owner: you may import for yourself only",)
    return (f"owner: {row.owner[:60]!r} is no user here",)
