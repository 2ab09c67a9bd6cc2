"""Namesakes of who said no: a no of a row without an e-mail address reaches who it is said of.

A list of those who said no may name them by name and company alone. Leads of that name at that
company that have an address are suppressed too, whichever came first: they are not joined, as two
people may be called so, and until somebody knows better neither is written to.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from uuid import UUID

from leadflood.contracts.normalization.companies import company_key
from leadflood.contracts.normalization.text import name_key
from leadflood.contracts.values import FieldName
from leadflood.domain.imports.repository import lead_lookups
from leadflood.domain.imports.repository.lead_lookups import Namesake
from leadflood.domain.imports.schemas.mappings import ImportPlan
from leadflood.domain.imports.schemas.rows import BadRow, ImportRow
from leadflood.domain.suppressions.service.stated_consent import StatedConsent, StatedOptOut
from leadflood.engine.db.tx import Tx

_MOST = 2_000
"""Of the names of a part, so many leads are looked at."""
_SORTED_CHARS = 80
"""By so many characters of their names leads are sorted."""


async def list_namesake_noes(
    tx: Tx,
    stated: StatedConsent,
    plan: ImportPlan,
    rows: Sequence[ImportRow | BadRow],
    source: str,
    import_id: UUID,
) -> list[StatedOptOut]:
    """List what the namesakes of leads said no to, for the names that rows give."""
    names = {name for row in rows if isinstance(row, ImportRow) for name in _names_of(row)}
    if not names:
        return []
    leads = await lead_lookups.find_namesakes(tx, names, _MOST)
    groups = [group for group in _group(leads) if len({bool(lead.email) for lead in group}) > 1]
    bare = {lead.lead_id for group in groups for lead in group if not lead.email}
    refused = await stated.find_refused(tx, bare) if bare else {}
    return [
        StatedOptOut(
            channels=refused[bare_lead.lead_id],
            lead_id=lead.lead_id,
            addresses=(),
            reason=f"lead {bare_lead.lead_id}, of the same name and company, said no and names no"
            " e-mail address",
            source=source,
            by=plan.by or "a command",
            import_id=import_id,
        )
        for group in groups
        for bare_lead in group
        if bare_lead.lead_id in refused
        for lead in group
        if lead.email and not _is_apart(lead, bare_lead) and plan.visibility.allows(lead.owner)
    ]


def _names_of(row: ImportRow) -> Iterator[str]:
    """Yield the name of a row's person as leads are sorted by it, in both orders of its words."""
    if FieldName.COMPANY_NAME not in row.values:
        return
    parts = [row.values.get(field) for field in (FieldName.FIRST_NAME, FieldName.LAST_NAME)]
    whole = row.values.get(FieldName.FULL_NAME) or " ".join(str(part) for part in parts if part)
    name = name_key(str(whole))[:_SORTED_CHARS]
    first, _, rest = name.partition(" ")
    if rest:
        before, _, last = name.rpartition(" ")
        yield from {name, f"{rest} {first}", f"{last} {before}"}


def _group(leads: Sequence[Namesake]) -> list[list[Namesake]]:
    """Group leads by their names, in any order of words, and companies."""

    def key_of(lead: Namesake) -> tuple[list[str], str]:
        return sorted(name_key(lead.full_name).split()), company_key(lead.company_name)

    named = sorted((lead for lead in leads if key_of(lead)[1]), key=key_of)
    return [list(group) for _, group in groupby(named, key_of)]


def _is_apart(lead: Namesake, other: Namesake) -> bool:
    return other.lead_id in lead.kept_apart or lead.lead_id in other.kept_apart
