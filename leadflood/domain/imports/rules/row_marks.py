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


def tags_of_new(row: ImportRow, plan: ImportPlan) -> tuple[str, ...]:
    """Return the tags of the lead that a row brings."""
    return tuple(sorted(dict.fromkeys((*row.tags, *plan.tags)))[:MOST_TAGS])


def owner_of_new(row: ImportRow, plan: ImportPlan, users: Mapping[str, str]) -> str | None:
    """Return whose the lead is that a row brings; `users` by their address, folded."""
    return users.get((row.owner or "").casefold(), plan.owner)


def tags_of_known(
    rows: Sequence[ImportRow],
    leads: Sequence[Upserted],
    outcomes: Sequence[RowState],
    plan: ImportPlan,
) -> dict[UUID, tuple[str, ...]]:
    """Return the tags that rows give to leads that they did not bring themselves."""
    tags: dict[UUID, tuple[str, ...]] = {}
    for row, lead, outcome in zip(rows, leads, outcomes, strict=True):
        lead_id = marked_lead(lead)
        if lead.is_deleted or (lead.is_new and lead_id == lead.lead_id):
            continue
        added = (*row.tags, *(plan.tags if outcome is RowState.UPDATED else ()))
        if added:
            tags[lead_id] = (*tags.get(lead_id, ()), *added)
    return tags


def marked_lead(lead: Upserted) -> UUID:
    """Return the lead that the tags of a row are for: of a merged one the older one."""
    return lead.merged_into or lead.lead_id


def plan_changes(
    states: Mapping[UUID, LeadState], tags: Mapping[UUID, Sequence[str]]
) -> list[tuple[LeadState, LeadState]]:
    """Return the leads whose tags change, before and after."""
    changes = []
    for lead_id, state in states.items():
        new_tags = [tag for tag in dict.fromkeys(tags[lead_id]) if tag not in state.tags]
        room = max(MOST_TAGS - len(state.tags), 0)
        if new_tags[:room]:
            changed = tuple(sorted({*state.tags, *new_tags[:room]}))
            changes.append((state, msgspec.structs.replace(state, tags=changed)))
    return changes


def owner_note(row: ImportRow, users: Mapping[str, str], plan: ImportPlan) -> tuple[str, ...]:
    """Return what is to be said where a row names an owner that its lead does not get."""
    if row.owner is None or row.owner.casefold() in users:
        return ()
    if plan.visibility.is_limited:
        return ("owner: you may import for yourself only",)
    return (f"owner: {row.owner[:60]!r} is no user here",)
