"""Part parser: the rows of a part of a file, and those of the next one while this one is written.

Writing a part waits for the database most of its time; reading rows takes the processor.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from uuid import UUID

import msgspec
from anyio import to_thread

from leadflood.domain.imports.rules.row_reader import RowReader
from leadflood.domain.imports.schemas.mappings import ImportPlan
from leadflood.domain.imports.schemas.records import Record
from leadflood.domain.imports.schemas.rows import BadRow, ImportRow
from leadflood.domain.imports.service.lead_writer import prepare_people
from leadflood.domain.leads.service.upsert_batch import PreparedPerson
from leadflood.engine.clock import Clock

MOST_AHEAD = 4
"""Of how many imports a part is held that was read ahead."""

Rows = tuple[ImportRow | BadRow, ...]


class ParsedRows(msgspec.Struct, frozen=True):
    """Rows, and the persons that they name by the rows' numbers."""

    rows: Rows
    people: Mapping[int, PreparedPerson]


class _Ahead(msgspec.Struct, frozen=True):
    plan: ImportPlan
    records: Sequence[Record]
    parsed: "Future[ParsedRows]"


class PartParser:
    """Parses records, each import's next ones ahead."""

    def __init__(self, currency: str, clock: Clock) -> None:
        self._currency = currency
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="imports-ahead")
        self._ahead: dict[UUID, _Ahead] = {}

    async def parse_alone(self, plan: ImportPlan, records: Sequence[Record]) -> Rows:
        """Return the rows of records."""
        return await to_thread.run_sync(self._parse, plan, records) if records else ()

    async def parse(
        self,
        import_id: UUID,
        plan: ImportPlan,
        records: Sequence[Record],
        following: Sequence[Record],
    ) -> ParsedRows:
        """Return the rows of records; `following` are parsed while the caller goes on."""
        ahead = self._ahead.pop(import_id, None)
        if ahead is not None and (ahead.plan, ahead.records) == (plan, records):
            parsed = await to_thread.run_sync(ahead.parsed.result)
        else:
            parsed = await to_thread.run_sync(self._prepare, import_id, plan, records)
        if following:
            started = self._thread.submit(self._prepare, import_id, plan, following)
            self._ahead[import_id] = _Ahead(plan, following, started)
        while len(self._ahead) > MOST_AHEAD:
            self._ahead.pop(next(iter(self._ahead))).parsed.cancel()
        return parsed

    def _prepare(self, import_id: UUID, plan: ImportPlan, records: Sequence[Record]) -> ParsedRows:
        rows = self._parse(plan, records)
        return ParsedRows(rows, prepare_people(rows, import_id, self._clock.now()))

    def _parse(self, plan: ImportPlan, records: Sequence[Record]) -> Rows:
        return RowReader(plan, self._currency).read_all(records)
