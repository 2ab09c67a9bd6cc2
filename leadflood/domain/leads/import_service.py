"""Use cases of files: stage one, say what its columns mean, look ahead, make leads of its rows."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import BinaryIO
from uuid import UUID

import msgspec
from anyio import to_thread

from leadflood.contracts.normalization import normalize_tag
from leadflood.contracts.values import FieldName
from leadflood.domain.leads import importing
from leadflood.domain.leads.import_schemas import (
    Column,
    ImportMapping,
    ImportState,
    ImportView,
    OnDuplicate,
    Plan,
    Preview,
    PreviewCounts,
    PreviewRow,
    RowEnd,
    RowState,
    RowView,
    StagedRow,
    StoredFile,
)
from leadflood.domain.leads.importing import Advance, Locked, Owner, Told
from leadflood.domain.leads.imports import guess_fields, read_cell, read_row, tells_who
from leadflood.domain.leads.records import Record, Sheet, open_sheet
from leadflood.domain.leads.rules.lead_input import CSV_SOURCE, found_in_row, keys_of_row
from leadflood.domain.leads.rules.prepared_values import company_id_of
from leadflood.domain.leads.schemas import (
    BadRow,
    IdentityKey,
    ImportRow,
    LeadCreated,
    LeadState,
    LeadStatus,
    NewImport,
    NewPerson,
    ReadCsv,
    Upserted,
)
from leadflood.domain.leads.service import kernel
from leadflood.domain.leads.service.upserting import upsert
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import (
    Conflict,
    FieldProblem,
    Invalid,
    LeadfloodError,
    NotFound,
    PreconditionFailed,
)
from leadflood.engine.ids import Ids
from leadflood.engine.text import make_storable

STAGED_AT_ONCE = 1_000
MOST_ROWS = 500_000
MOST_PREVIEWED = 20_000
SHOWN_BAD = 20
SHOWN_ROWS = 10
SHOWN_SAMPLES = 3
SHOWN_CHARS = 80
KEPT = timedelta(days=1)
"""How long a file waits to be started."""

_IDENTIFYING = frozenset(
    {
        FieldName.EMAIL,
        FieldName.LINKEDIN_URL,
        FieldName.COMPANY_DOMAIN,
        FieldName.FULL_NAME,
        FieldName.FIRST_NAME,
        FieldName.LAST_NAME,
        FieldName.COMPANY_NAME,
    }
)
_WAITING = frozenset({ImportState.UPLOADED, ImportState.MAPPED})


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where a file comes from: its bytes on disk, what it is called, who brings it.

    `owner` None: nobody's, so only those see it who see all.
    """

    file: BinaryIO
    name: str
    sha256: bytes
    byte_count: int
    owner: str | None
    made_by: str


class Asker(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks: `owner` is the user he is, `mine` the only owner he may see (None: all)."""

    by: str
    owner: str | None = None
    mine: str | None = None


class ChunkEnd(msgspec.Struct, frozen=True, kw_only=True):
    """What became of rows, and which leads they brought for the first time: new, and known."""

    ends: tuple[RowEnd, ...]
    created: tuple[UUID, ...]
    updated: tuple[UUID, ...]


class ImportService:
    """Files of leads. What it returns, the caller queues in the import's run."""

    def __init__(self, ids: Ids, clock: Clock) -> None:
        self._ids = ids
        self._clock = clock

    async def start_import(self, tx: Tx, new: NewImport, read: ReadCsv) -> bool:
        """Write a file and its bad rows; False when the run has it already (it goes on then)."""
        return await importing.record_import(tx, new, read, self._clock.now())

    async def import_rows(
        self, tx: Tx, new: NewImport, rows: Sequence[ImportRow]
    ) -> Sequence[LeadCreated]:
        """Make leads of a chunk of rows (500 is a good one); rows that are in are left out.

        A lead that several rows of a file name is created, and scored, once.
        """
        locked = await self.lock(tx, new.run_id, None)
        done = await importing.numbers_in(tx, new.run_id, [row.number for row in rows])
        fresh = [row for row in rows if row.number not in done]
        if not fresh:
            return ()
        if locked.view.state is not ImportState.RUNNING:
            raise Conflict(
                f"import {new.run_id} is {locked.view.state.value}: nothing is added to it",
                code="leads.import.ended",
            )
        chunk = await self.make_leads(tx, new.run_id, Plan(fields=()), fresh)
        await importing.add_rows(tx, new.run_id, fresh, chunk.ends)
        counted = Advance(
            import_id=new.run_id, place=fresh[-1].number, ends=chunk.ends, is_last=False
        )
        await importing.advance(tx, counted, self._clock.now())
        return [LeadCreated(lead_id, new.icp_id) for lead_id in (*chunk.created, *chunk.updated)]

    async def finish_import(self, db: Reader, import_id: UUID) -> None:
        """Say that a file read by a command is in."""
        await importing.finish(db, import_id, self._clock.now())

    async def stage(self, tx: Tx, source: Source) -> UUID:
        """Keep a file's rows until it is started, and tell its id.

        The same bytes from the same person that still wait are not kept twice. Raises: Invalid,
        saying what to change.
        """
        await importing.lock_bytes(tx, source.sha256)
        known = await self._find_waiting(tx, source)
        if known is not None:
            return known
        opened = open_sheet(source.file)
        sheet = await to_thread.run_sync(opened.__enter__)
        try:
            return await self._stage(tx, self._describe(source, sheet), sheet)
        finally:
            opened.__exit__(None, None, None)

    async def _stage(self, tx: Tx, file: StoredFile, sheet: Sheet) -> UUID:
        await importing.stage_file(tx, file, self._clock.now())
        good = bad = 0
        rows = _staged(sheet)
        while chunk := await to_thread.run_sync(_take, rows):
            await importing.stage_rows(tx, file.id, chunk)
            broken = sum(row.reason is not None for row in chunk)
            good, bad = good + len(chunk) - broken, bad + broken
            if good + bad > MOST_ROWS:
                raise Invalid(
                    f"the file has more than {MOST_ROWS:,} rows: split it",
                    code="leads.csv.too_long",
                )
        if not good + bad:
            raise Invalid("the file has a header and no rows", code="leads.csv.empty")
        await importing.count_staged(tx, file.id, good, bad)
        return file.id

    async def _find_waiting(self, tx: Tx, source: Source) -> UUID | None:
        same = await importing.find_same(tx, UUID(int=0), source.sha256, source.owner)
        for one, owner in same:
            if one.state in _WAITING and owner == source.owner:
                return one.id
        return None

    def _describe(self, source: Source, sheet: Sheet) -> StoredFile:
        skipped = [f"left out before the header: {line[:100]}" for line in sheet.skipped_lines[:5]]
        return StoredFile(
            id=self._ids.new(),
            name=make_storable(source.name) or "upload.csv",
            sha256=source.sha256,
            byte_count=source.byte_count,
            encoding=sheet.form.encoding,
            delimiter=sheet.form.delimiter,
            columns=_columns(sheet),
            warnings=(*sheet.form.warnings, *skipped),
            owner=source.owner,
            made_by=source.made_by,
        )

    async def get(self, db: Reader, import_id: UUID, mine: str | None) -> ImportView:
        """Tell how an import stands. Raises: NotFound, also for somebody else's."""
        found = (await importing.find(db, [import_id], mine)).get(import_id)
        if found is None:
            raise _not_found(import_id)
        same = await importing.find_same(db, import_id, bytes.fromhex(found.sha256), mine)
        return msgspec.structs.replace(found, same_as=[one for one, _ in same])

    async def list(
        self,
        db: Reader,
        mine: str | None,
        state: ImportState | None,
        before: UUID | None,
        limit: int,
    ) -> Sequence[ImportView]:
        """List imports, newest first."""
        ids = await importing.list_ids(db, mine, state, before, limit)
        found = await importing.find(db, ids, mine)
        return [found[import_id] for import_id in ids if import_id in found]

    async def lock(self, tx: Tx, import_id: UUID, mine: str | None) -> Locked:
        """Hold an import until the end of the transaction. Raises: NotFound."""
        locked = await importing.lock(tx, import_id, mine)
        if locked is None:
            raise _not_found(import_id)
        return locked

    async def map(
        self,
        tx: Tx,
        locked: Locked,
        given: ImportMapping,
        icp_id: UUID | None,
        asker: Asker,
        if_match: int | None = None,
    ) -> None:
        """Say how the rows are to be read. Raises: Invalid with the fields, Conflict when started.

        PreconditionFailed when `if_match` is not its version.
        """
        view = locked.view
        if view.state not in _WAITING:
            raise Conflict(
                f"the import is {view.state.value}: its mapping cannot be changed any more",
                code="leads.import.started",
            )
        if if_match not in {None, view.version}:
            raise PreconditionFailed(
                f"the import is at version {view.version}", code="leads.import.changed"
            )
        told = Told(mapping=given, plan=make_plan(view, given, asker))
        await importing.write_plan(tx, view.id, told, icp_id)

    async def begin(self, tx: Tx, locked: Locked, told: Told, icp_id: UUID | None) -> None:
        """Say that the rows are read from now on; `began` tells by which job."""
        await importing.begin(tx, locked.view.id, told, icp_id, self._clock.now())

    async def began(self, tx: Tx, import_id: UUID, job_id: UUID) -> None:
        """Remember the job that reads the rows."""
        await importing.began(tx, import_id, job_id)

    def told(self, locked: Locked, asker: Asker) -> Told:
        """Tell the mapping that was given, or the one that is guessed. Raises: Invalid."""
        if locked.told is not None:
            return locked.told
        mapping = ImportMapping()
        return Told(mapping=mapping, plan=make_plan(locked.view, mapping, asker))

    async def begin_undo(self, tx: Tx, import_id: UUID, job_id: UUID) -> None:
        """Say that what a file brought is to go again."""
        await importing.begin_undo(tx, import_id, job_id)

    async def list_rows(
        self, db: Reader, import_id: UUID, state: RowState | None, after: int, limit: int
    ) -> Sequence[RowView]:
        """List rows in the order of the file, of one state or all."""
        return await importing.list_rows(db, import_id, state, after, limit)

    async def preview(
        self, db: Reader, import_id: UUID, mine: str | None, *, owner: str | None
    ) -> Preview:
        """Tell what would become of the rows, and write nothing. Raises: NotFound, Conflict."""
        view = await self.get(db, import_id, mine)
        if view.state not in _WAITING:
            raise Conflict(
                f"the import is {view.state.value}: look at its rows instead",
                code="leads.import.started",
            )
        plan = await importing.find_plan(db, import_id)
        if plan is None:
            asker = Asker(by="", owner=owner, mine=mine)
            plan = make_plan(view, ImportMapping(), asker)
        look = _Look(plan, import_id, self._clock.now())
        after = 0
        while look.looked_at < MOST_PREVIEWED:
            records = await importing.read_waiting(db, import_id, after, STAGED_AT_ONCE)
            if not records:
                break
            after = records[-1].number
            keyed = await to_thread.run_sync(look.read, records)
            known = await importing.owners_of(db, {key for _, keys in keyed for key in keys})
            look.settle(keyed, known)
        broken = await importing.list_rows(db, import_id, RowState.BAD, 0, SHOWN_BAD)
        return look.end(view, broken)

    async def make_leads(
        self, tx: Tx, import_id: UUID, plan: Plan, rows: Sequence[ImportRow]
    ) -> ChunkEnd:
        """Make leads of rows, and tell what became of each; writes no rows of the import."""
        now = self._clock.now()
        people = [_person(row, import_id, now) for row in rows]
        while True:
            left_out = await self._left_out(tx, import_id, plan, rows, people)
            taken = [
                (row, person)
                for row, person in zip(rows, people, strict=True)
                if row.number not in left_out
            ]
            await importing.mark(tx)
            upserted = await upsert(tx, [person for _, person in taken], self._ids, now)
            if not await self._touches_foreign(tx, import_id, plan, upserted):
                break
            await importing.go_back(tx)
        in_file = await importing.leads_in(tx, import_id, [one.lead_id for one in upserted])
        outcomes = _outcomes(upserted, in_file)
        tags = await self._give(tx, plan, upserted, outcomes, now)
        companies = {row.number: _company_of(person) for row, person in taken}
        made = await importing.made_companies(
            tx, [one for one in companies.values() if one is not None], now
        )
        ends = dict(left_out)
        for (row, _), one, outcome in zip(taken, upserted, outcomes, strict=True):
            company_id = companies[row.number]
            ends[row.number] = RowEnd(
                number=row.number,
                outcome=outcome,
                lead_id=one.lead_id,
                reason=_DELETED if one.is_deleted else None,
                company_id=company_id,
                made_company=company_id in made,
                new_keys=tuple(f"{key.kind}{importing.WITHIN}{key.value}" for key in one.new_keys),
                new_tags=tags.pop(one.lead_id, ()),
                merged=one.merged,
            )
            made -= {company_id}
        pairs = list(zip(upserted, outcomes, strict=True))
        return ChunkEnd(
            ends=tuple(ends[row.number] for row in rows),
            created=tuple(one.lead_id for one, end in pairs if end is RowState.CREATED),
            updated=tuple(one.lead_id for one, end in pairs if end is RowState.UPDATED),
        )

    async def _left_out(
        self,
        tx: Tx,
        import_id: UUID,
        plan: Plan,
        rows: Sequence[ImportRow],
        people: Sequence[NewPerson],
    ) -> dict[int, RowEnd]:
        """Tell the rows that are not to touch the lead they name: somebody else's, or known."""
        if plan.mine is None and plan.on_duplicate is OnDuplicate.UPDATE:
            return {}
        keys = [_keys(person) for person in people]
        owners = await importing.owners_of(tx, {key for each in keys for key in each})
        own = await importing.leads_in(tx, import_id, [one.lead_id for one in owners.values()])
        ends = {}
        for row, each in zip(rows, keys, strict=True):
            named = [owners[key] for key in sorted(each) if key in owners]
            end = _end_unread(row.number, [one for one in named if one.lead_id not in own], plan)
            if end is not None:
                ends[row.number] = end
        return ends

    async def _touches_foreign(
        self, tx: Tx, import_id: UUID, plan: Plan, upserted: Sequence[Upserted]
    ) -> bool:
        """Tell whether somebody else has made one of these leads since it was looked up."""
        if plan.mine is None:
            return False
        known = {one.lead_id for one in upserted if not one.is_new}
        known -= {one.lead_id for one in upserted if one.is_new}
        known -= await importing.leads_in(tx, import_id, known)
        states = await kernel.lock_states(tx, known)
        return any(state.owner != plan.mine for state in states.values())

    async def _give(
        self,
        tx: Tx,
        plan: Plan,
        upserted: Sequence[Upserted],
        outcomes: Sequence[RowState],
        now: datetime,
    ) -> dict[UUID, tuple[str, ...]]:
        """Give new leads their owner and all leads their tags; tell the tags that are new."""
        fresh = {
            one.lead_id: end
            for one, end in zip(upserted, outcomes, strict=True)
            if end in {RowState.CREATED, RowState.UPDATED}
        }
        if not fresh or (plan.owner is None and not plan.tags):
            return {}
        states = await kernel.lock_states(tx, fresh)
        before, after = [], []
        for lead_id, state in states.items():
            wanted = _given_to(state, plan, is_new=fresh[lead_id] is RowState.CREATED)
            if wanted != state:
                before.append(state)
                after.append(wanted)
        await kernel.write_states(tx, before, after, plan.by, now)
        return {
            new.id: tuple(tag for tag in new.tags if tag not in old.tags)
            for old, new in zip(before, after, strict=True)
        }

    async def forget_uploads(self, tx: Tx) -> int:
        """Forget files that nobody started in time; tell how many."""
        return await importing.forget_uploads(tx, self._clock.now() - KEPT)


_DELETED = "somebody has deleted this lead: restore it first"
_FOREIGN = "this person is a lead of somebody else"


class _Look:
    """A dry run under way."""

    def __init__(self, plan: Plan, import_id: UUID, now: datetime) -> None:
        self._plan = plan
        self._import_id = import_id
        self._now = now
        self._keys = tuple(field if field in _IDENTIFYING else None for field in plan.fields)
        self._seen: set[int] = set()
        self._bad: list[RowView] = []
        self._sample: list[PreviewRow] = []
        self._counts = {"new": 0, "already_known": 0, "duplicate_in_file": 0, "bad": 0}
        self.looked_at = 0

    def read(self, records: Sequence[Record]) -> list[tuple[ImportRow, frozenset[IdentityKey]]]:
        """Read rows as far as is needed to tell who they are; the first ones whole."""
        keyed: list[tuple[ImportRow, frozenset[IdentityKey]]] = []
        for record in records:
            is_shown = len(self._sample) + len(keyed) < SHOWN_ROWS
            fields = self._plan.fields if is_shown else self._keys
            row = read_row(record, fields, self._plan.defaults)
            self.looked_at += 1
            if isinstance(row, ImportRow):
                keyed.append((row, _keys(_person(row, self._import_id, self._now))))
            else:
                self._add_bad(row)
        return keyed

    def _add_bad(self, row: BadRow) -> None:
        self._counts["bad"] += 1
        if len(self._bad) < SHOWN_BAD:
            self._bad.append(
                RowView(
                    number=row.number,
                    state=RowState.BAD,
                    lead_id=None,
                    reason=row.reason,
                    cells=row.raw,
                )
            )

    def settle(
        self,
        keyed: Sequence[tuple[ImportRow, frozenset[IdentityKey]]],
        known: Mapping[IdentityKey, Owner],
    ) -> None:
        """Tell what would become of rows, by who is a lead already."""
        for row, keys in keyed:
            prints = {hash(key) for key in keys}
            named = [known[key] for key in sorted(keys) if key in known]
            is_seen = bool(prints & self._seen)
            self._seen |= prints
            end = None if is_seen else _end_unread(row.number, named, self._plan)
            if end is not None and end.outcome is RowState.BAD:
                self._add_bad(BadRow(number=row.number, reason=end.reason or "", raw=row.raw))
                continue
            if is_seen:
                name, outcome = "duplicate_in_file", RowState.DUPLICATE
            elif named:
                name, outcome = "already_known", RowState.SKIPPED if end else RowState.UPDATED
            else:
                name, outcome = "new", RowState.CREATED
            self._counts[name] += 1
            if len(self._sample) < SHOWN_ROWS:
                self._sample.append(
                    PreviewRow(
                        number=row.number,
                        outcome=outcome,
                        lead_id=named[0].lead_id if named else None,
                        values=row.values,
                        notes=row.notes,
                    )
                )

    def end(self, view: ImportView, broken: Sequence[RowView]) -> Preview:
        """Tell the whole."""
        self._counts["bad"] += view.counts.bad
        bad = sorted([*self._bad, *broken], key=lambda row: row.number)
        return Preview(
            row_count=view.row_count,
            looked_at=self.looked_at + view.counts.bad,
            is_sample=self.looked_at + view.counts.bad < view.row_count,
            counts=PreviewCounts(**self._counts),
            bad_rows=tuple(bad[:SHOWN_BAD]),
            sample=tuple(self._sample),
        )


def make_plan(view: ImportView, given: ImportMapping, asker: Asker) -> Plan:
    """Check a mapping against its file. Raises: Invalid with every field that breaks a rule."""
    problems: list[FieldProblem] = []
    names = {column.name: column for column in view.columns}
    columns = given.columns
    if columns is None:
        columns = {column.name: column.guess for column in view.columns}
    problems += [
        FieldProblem(f"columns.{name}", "the file has no such column: take a name of `columns`")
        for name in columns
        if name not in names
    ]
    defaults: dict[FieldName, str] = {}
    for field, text in given.defaults.items():
        if read_cell(field, text.strip(), None) is None:
            problems.append(FieldProblem(f"defaults.{field.value}", "is not understood"))
        defaults[field] = text.strip()
    fields = tuple(columns.get(column.name) for column in view.columns)
    meant = dict.fromkeys((*(field for field in fields if field), *defaults), "")
    if not tells_who(meant):
        problems.append(
            FieldProblem(
                "columns",
                "nothing tells who the leads are: map a column to email, linkedin_url,"
                " company_domain, or to a name and company_name",
            )
        )
    tags = _tags(given.tags, problems)
    owner = asker.owner if given.owner_id is None else str(given.owner_id)
    if asker.mine is not None and owner != asker.mine:
        problems.append(FieldProblem("ownerId", "you may import for yourself only"))
    if problems:
        raise Invalid.of(
            problems,
            prefix="the mapping does not fit the file",
            most_named=10,
            code="leads.import.mapping",
        )
    return Plan(
        fields=fields,
        defaults=defaults,
        on_duplicate=given.on_duplicate,
        enrich=given.enrich,
        owner=owner,
        tags=tags,
        mine=asker.mine,
        by=asker.by,
    )


def _tags(given: Iterable[str], problems: list[FieldProblem]) -> tuple[str, ...]:
    tags: list[str] = []
    for place, told in enumerate(given):
        try:
            tags.append(normalize_tag(told))
        except LeadfloodError as error:
            problems.append(FieldProblem(f"tags[{place}]", error.detail))
    return tuple(dict.fromkeys(tags))


def _columns(sheet: Sheet) -> tuple[Column, ...]:
    """Name the columns: by their headers, where these are there and differ."""
    guesses = guess_fields(sheet)
    seen: dict[str, int] = {}
    columns = []
    for place, (header, guess) in enumerate(zip(sheet.headers, guesses, strict=True)):
        name = header[:180] or f"column {place + 1}"
        seen[name] = seen.get(name, 0) + 1
        if seen[name] > 1:
            name = f"{name} ({seen[name]}, column {place + 1})"
        filled = (record.cells[place] for record in sheet.sample if place < len(record.cells))
        samples = itertools.islice((cell for cell in filled if cell.strip()), SHOWN_SAMPLES)
        columns.append(
            Column(
                name=make_storable(name),
                header=make_storable(header),
                guess=guess,
                samples=tuple(make_storable(cell)[:SHOWN_CHARS] for cell in samples),
            )
        )
    return tuple(columns)


def _staged(sheet: Sheet) -> Iterator[StagedRow]:
    for record in sheet.records:
        yield StagedRow(record.number, importing.encode_cells(record.cells), record.problem)


def _take(rows: Iterator[StagedRow]) -> list[StagedRow]:
    return list(itertools.islice(rows, STAGED_AT_ONCE))


def _person(row: ImportRow, import_id: UUID, now: datetime) -> NewPerson:
    return NewPerson(
        source=CSV_SOURCE,
        values=found_in_row(row, import_id, now),
        keys=keys_of_row(row),
        status=LeadStatus.PROCESSING,
    )


def _keys(person: NewPerson) -> frozenset[IdentityKey]:
    return frozenset({*person.keys, *kernel.identity_keys(person.values)})


def _company_of(person: NewPerson) -> UUID | None:
    """Tell the company a row names: its values that are the company's stand there."""
    domains = [one.value for one in person.values if one.field is FieldName.COMPANY_DOMAIN]
    return company_id_of(str(domains[0])) if domains else None


def _end_unread(number: int, named: Sequence[Owner], plan: Plan) -> RowEnd | None:
    if plan.mine is not None and any(one.owner != plan.mine for one in named):
        return RowEnd(number=number, outcome=RowState.BAD, reason=_FOREIGN)
    if named and plan.on_duplicate is OnDuplicate.SKIP:
        return RowEnd(number=number, outcome=RowState.SKIPPED, lead_id=named[0].lead_id)
    return None


def _outcomes(upserted: Sequence[Upserted], in_file: set[UUID]) -> list[RowState]:
    seen = set(in_file)
    outcomes = []
    for one in upserted:
        if one.is_deleted:
            outcomes.append(RowState.SKIPPED)
        elif one.is_new:
            outcomes.append(RowState.CREATED)
        else:
            outcomes.append(RowState.DUPLICATE if one.lead_id in seen else RowState.UPDATED)
        seen.add(one.lead_id)
    return outcomes


def _given_to(state: LeadState, plan: Plan, *, is_new: bool) -> LeadState:
    tags = tuple(sorted({*state.tags, *plan.tags}))
    owner = plan.owner if is_new else state.owner
    return msgspec.structs.replace(state, owner=owner, tags=tags)


def _not_found(import_id: UUID) -> NotFound:
    return NotFound(f"there is no import {import_id}", code="leads.import.not_found")
