"""Row outcomes: what becomes of each row, by the lead that it names and by the plan."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from leadflood.domain.imports.schemas.mappings import ImportPlan, OnDuplicate
from leadflood.domain.imports.schemas.rows import LeadOwner, RowResult, RowState
from leadflood.domain.leads.schemas.identity import Upserted

DELETED_LEAD = "somebody has deleted this lead: restore it first"
FOREIGN_LEAD = "this person is a lead of somebody else"
MOST_HIDDEN_ROWS = 200
"""How many rows a day tell somebody that they name a lead which they do not see."""
NOT_READ = (
    f"not read: {MOST_HIDDEN_ROWS} rows of your files were leads of somebody else within a day;"
    " import what is left tomorrow, or let somebody do it who sees all leads"
)


def reject_row(number: int, leads: Sequence[LeadOwner], plan: ImportPlan) -> RowResult | None:
    """Return why a row that names these leads must not touch them; None: it may."""
    if not all(plan.visibility.allows(lead.owner) for lead in leads):
        return RowResult(number=number, outcome=RowState.BAD, reason=FOREIGN_LEAD)
    if leads and plan.on_duplicate is OnDuplicate.SKIP:
        return RowResult(number=number, outcome=RowState.SKIPPED, lead_id=leads[0].lead_id)
    return None


def stop_behind_hidden(
    numbers: Sequence[int], rejected: Mapping[int, RowResult], allowance: int
) -> dict[int, RowResult]:
    """Return the rejected rows, and all behind the last that may tell of a hidden lead."""
    results = dict(rejected)
    for number in numbers:
        if allowance <= 0:
            results[number] = RowResult(number=number, outcome=RowState.BAD, reason=NOT_READ)
        elif number in rejected and is_hidden(rejected[number]):
            allowance -= 1
    return results


def is_hidden(result: RowResult) -> bool:
    """Whether a row's outcome tells that it names a lead which its importer does not see."""
    return result.reason == FOREIGN_LEAD


def outcomes_of(upserted: Sequence[Upserted], imported: set[UUID]) -> list[RowState]:
    """Return what became of each row; `imported` are the leads that the file named before."""
    named = set(imported)
    outcomes = []
    for lead in upserted:
        if lead.is_deleted:
            outcomes.append(RowState.SKIPPED)
        elif lead.merged_into is not None:
            outcomes.append(RowState.DUPLICATE)
        elif lead.is_new:
            outcomes.append(RowState.CREATED)
        else:
            outcomes.append(RowState.DUPLICATE if lead.lead_id in named else RowState.UPDATED)
        named.add(lead.lead_id)
    return outcomes
