"""Writing the leads of rows: a chunk of rows is one transaction of the caller's."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from anyio import to_thread

from leadflood.contracts.values import FieldName
from leadflood.domain.imports.repository import (
    lead_lookups,
    progress as progress_table,
    rows as row_table,
)
from leadflood.domain.imports.rules.row_marks import (
    marked_lead,
    owner_note,
    owner_of_new,
    plan_changes,
    tags_of_known,
    tags_of_new,
)
from leadflood.domain.imports.rules.row_outcomes import (
    DELETED_LEAD,
    MOST_HIDDEN_ROWS,
    outcomes_of,
    reject_row,
    stop_behind_hidden,
)
from leadflood.domain.imports.rules.row_values import person_of
from leadflood.domain.imports.schemas.mappings import ImportPlan, OnDuplicate
from leadflood.domain.imports.schemas.rows import BadRow, ImportRow, LeadOwner, RowResult, RowState
from leadflood.domain.leads.schemas.identity import NewPerson, Upserted
from leadflood.domain.leads.schemas.lead_states import LeadStatus
from leadflood.domain.leads.service import kernel as leads
from leadflood.domain.leads.service.company_values import company_id_of
from leadflood.domain.leads.service.resolving import match_people
from leadflood.domain.leads.service.upsert_batch import PreparedPerson, prepare
from leadflood.domain.leads.service.upserting import upsert
from leadflood.engine.db.tx import Tx
from leadflood.engine.ids import Ids

DAY = timedelta(days=1)


class WrittenRows(msgspec.Struct, frozen=True, kw_only=True):
    """The outcomes of rows, and the leads that they named for the first time: new and known."""

    results: tuple[RowResult, ...]
    created: tuple[UUID, ...]
    updated: tuple[UUID, ...]


class _Chunk(msgspec.Struct, frozen=True):
    """Rows that may touch the leads they name, the persons they name, and those leads.

    `users`: the users by the addresses that rows name, folded.
    """

    rows: Sequence[ImportRow]
    people: Sequence[NewPerson]
    leads: Sequence[Upserted]
    rejected: Mapping[int, RowResult]
    users: Mapping[str, str]


class _NamedByFile:
    """The leads that a file has named before."""

    def __init__(self, import_id: UUID) -> None:
        self._import_id = import_id

    async def find_named(self, tx: Tx, lead_ids: Iterable[UUID]) -> set[UUID]:
        """Return which of these leads the file has named before."""
        return await row_table.find_imported_leads(tx, self._import_id, lead_ids)


def prepare_people(
    rows: Iterable[ImportRow | BadRow], import_id: UUID, now: datetime
) -> dict[int, PreparedPerson]:
    """Work out the persons that rows name, by the numbers of the rows."""
    return {
        row.number: prepare(person_of(row, import_id, now))
        for row in rows
        if isinstance(row, ImportRow)
    }


class LeadWriter:
    """Writes the leads of rows in one transaction."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids

    async def write_rows(
        self,
        tx: Tx,
        import_id: UUID,
        plan: ImportPlan,
        rows: Sequence[ImportRow],
        now: datetime,
        prepared: Mapping[int, PreparedPerson] | None = None,
    ) -> WrittenRows:
        """Create and update the leads of rows; the rows themselves are the caller's to record.

        `prepared`: the persons of rows, where they are worked out already.
        """
        if prepared is None:
            prepared = await to_thread.run_sync(prepare_people, rows, import_id, now)
        chunk = await self._upsert(tx, import_id, plan, rows, prepared, now)
        imported = await row_table.find_imported_leads(
            tx, import_id, {lead.lead_id for lead in chunk.leads if not lead.is_new}
        )
        outcomes = outcomes_of(chunk.leads, imported)
        new_tags = await _write_tags(tx, plan, chunk, outcomes, now)
        results = await _results_of(tx, chunk, outcomes, new_tags, plan, now)
        pairs = list(zip(chunk.leads, outcomes, strict=True))
        return WrittenRows(
            results=tuple(results[row.number] for row in rows),
            created=tuple(lead.lead_id for lead, end in pairs if end is RowState.CREATED),
            updated=tuple(lead.lead_id for lead, end in pairs if end is RowState.UPDATED),
        )

    async def _upsert(
        self,
        tx: Tx,
        import_id: UUID,
        plan: ImportPlan,
        rows: Sequence[ImportRow],
        prepared: Mapping[int, PreparedPerson],
        now: datetime,
    ) -> _Chunk:
        """Upsert until no lead that is hidden from the importer turns out to be touched."""
        users = await _find_users(tx, plan, rows)
        status = LeadStatus.PROCESSING if plan.enrich else LeadStatus.NEW
        people = {
            row.number: prepared[row.number].with_marks(
                status, owner_of_new(row, plan, users), tags_of_new(row, plan)
            )
            for row in rows
        }
        while True:
            rejected = await self._reject_rows(tx, import_id, plan, people, now)
            accepted = [row for row in rows if row.number not in rejected]
            chosen = [people[row.number] for row in accepted]
            await lead_lookups.set_savepoint(tx)
            upserted = await upsert(tx, chosen, self._ids, now, _NamedByFile(import_id))
            if not await _touches_hidden(tx, import_id, plan, upserted):
                named = [person.person for person in chosen]
                return _Chunk(accepted, named, upserted, rejected, users)
            await lead_lookups.roll_back(tx)

    async def _reject_rows(
        self,
        tx: Tx,
        import_id: UUID,
        plan: ImportPlan,
        people: Mapping[int, PreparedPerson],
        now: datetime,
    ) -> dict[int, RowResult]:
        """Return the rows that must not touch the lead they name: hidden, or known already.

        Whoever sees only their own leads learns of some hidden ones a day; the rows behind are
        left.
        """
        if not plan.visibility.is_limited and plan.on_duplicate is OnDuplicate.UPDATE:
            return {}
        own = dict(zip(self._ids.take(len(people)), people.values(), strict=True))
        matches = await match_people(
            tx,
            {own_id: person.person for own_id, person in own.items()},
            {own_id: person.values.keys for own_id, person in own.items()},
            _NamedByFile(import_id),
        )
        known_ids = frozenset[UUID]().union(*matches)
        states = await leads.find_states(tx, known_ids)
        imported = await row_table.find_imported_leads(tx, import_id, known_ids)
        rejected = {}
        for number, known in zip(people, matches, strict=True):
            named = [LeadOwner(each, states[each].owner) for each in sorted(known - imported)]
            result = reject_row(number, named, plan)
            if result is not None:
                rejected[number] = result
        owner = plan.visibility.owner
        if owner is None:
            return rejected
        hidden_count = await progress_table.count_hidden_rows(tx, owner, now - DAY)
        return stop_behind_hidden(list(people), rejected, MOST_HIDDEN_ROWS - hidden_count)


async def _touches_hidden(
    tx: Tx, import_id: UUID, plan: ImportPlan, upserted: Sequence[Upserted]
) -> bool:
    """Whether somebody else has created one of these leads since its owner was looked up."""
    if not plan.visibility.is_limited:
        return False
    existing = {lead.lead_id for lead in upserted if not lead.is_new}
    existing -= {lead.lead_id for lead in upserted if lead.is_new}
    existing -= await row_table.find_imported_leads(tx, import_id, existing)
    states = await leads.lock_states(tx, existing)
    return not all(plan.visibility.allows(state.owner) for state in states.values())


async def _find_users(tx: Tx, plan: ImportPlan, rows: Sequence[ImportRow]) -> Mapping[str, str]:
    """Return the users that rows name as owners, by their address; who may not choose gets none."""
    addresses = {row.owner.casefold() for row in rows if row.owner is not None}
    if not addresses or plan.visibility.is_limited:
        return {}
    return await lead_lookups.find_users(tx, addresses)


async def _write_tags(
    tx: Tx, plan: ImportPlan, chunk: _Chunk, outcomes: Sequence[RowState], now: datetime
) -> dict[UUID, tuple[str, ...]]:
    """Give known leads their tags; return those that each lead got."""
    new_tags = {
        lead.lead_id: person.tags
        for person, lead in zip(chunk.people, chunk.leads, strict=True)
        if lead.is_new and person.tags
    }
    names = {tag for tags in new_tags.values() for tag in tags}
    await leads.remember_tags(tx, names, plan.by, now)
    tags = tags_of_known(chunk.rows, chunk.leads, outcomes, plan)
    if not tags:
        return new_tags
    changes = plan_changes(await leads.lock_states(tx, tags), tags)
    before, after = [old for old, _ in changes], [new for _, new in changes]
    await leads.write_states(tx, before, after, plan.by, now)
    for old, new in changes:
        added = tuple(tag for tag in new.tags if tag not in old.tags)
        new_tags[new.id] = (*new_tags.get(new.id, ()), *added)
    return new_tags


async def _results_of(
    tx: Tx,
    chunk: _Chunk,
    outcomes: Sequence[RowState],
    new_tags: dict[UUID, tuple[str, ...]],
    plan: ImportPlan,
    now: datetime,
) -> dict[int, RowResult]:
    companies = [_company_of(person) for person in chunk.people]
    new_companies = await lead_lookups.find_new_companies(
        tx, [company_id for company_id in companies if company_id is not None], now
    )
    results = dict(chunk.rejected)
    for row, lead, outcome, company_id in zip(
        chunk.rows, chunk.leads, outcomes, companies, strict=True
    ):
        results[row.number] = RowResult(
            number=row.number,
            outcome=outcome,
            lead_id=lead.lead_id,
            reason=DELETED_LEAD if lead.is_deleted else None,
            made_lead=lead.is_new,
            company_id=company_id,
            made_company=company_id in new_companies,
            new_keys=lead.new_keys,
            new_tags=new_tags.pop(marked_lead(lead), ()),
            merged=lead.merged,
            notes=owner_note(row, chunk.users, plan),
            owner=chunk.users.get((row.owner or "").casefold()) if lead.is_new else None,
        )
        new_companies -= {company_id}
    return results


def _company_of(person: NewPerson) -> UUID | None:
    """Return the company that a row names: the values that are the company's stand there."""
    domains = [value.value for value in person.values if value.field is FieldName.COMPANY_DOMAIN]
    return company_id_of(str(domains[0])) if domains else None
