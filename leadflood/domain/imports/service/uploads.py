"""Uploads: a file's rows are staged until somebody maps and starts them.

Reading a file takes longer than a transaction may stay open: its rows are read first, in a thread,
into a file of their own, and stored afterwards. Few files are read or stored at once, so that
neither the event loop's thread nor the pool is taken from other requests.
"""

import itertools
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager
from typing import BinaryIO, cast
from uuid import UUID

import anyio
import msgspec
from anyio import to_thread

from leadflood.contracts.normalization.text import MAX_TEXT
from leadflood.domain.imports.repository import imports, rows
from leadflood.domain.imports.repository.imports import StagedFile
from leadflood.domain.imports.repository.rows import StagedRow
from leadflood.domain.imports.rules.consent_scan import ConsentScan
from leadflood.domain.imports.rules.csv_reader import CsvFormat
from leadflood.domain.imports.rules.file_columns import describe_columns
from leadflood.domain.imports.rules.file_kind import is_workbook
from leadflood.domain.imports.rules.opt_in_noes import OptInNoes
from leadflood.domain.imports.rules.table_file import headings_of, open_table_file
from leadflood.domain.imports.rules.unread_columns import UnreadColumns
from leadflood.domain.imports.schemas.columns import FileColumns
from leadflood.domain.imports.schemas.mappings import Importer
from leadflood.domain.imports.schemas.records import Record
from leadflood.engine.bulkhead import Bulkhead, Load
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import Invalid, Throttled, Transient
from leadflood.engine.ids import Ids
from leadflood.engine.text import make_storable

BATCH_ROWS = 1_000
MAX_ROWS = 500_000
SHOWN_SKIPPED_LINES = 5
FILES_AT_ONCE = 2
MOST_UNDER_WAY = 16
MOST_OF_USER = 2
"""Files of one user under way."""
MOST_WAITING = 20
"""Files of one user that are staged and not started; a day later they are dropped."""
_LENGTH_BYTES = 4

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[StagedRow]).decode


class UploadedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file on disk: its bytes, their hash and number, and what it is called.

    `sheet`: the sheet of a workbook to read; None: the first with a table.
    """

    file: BinaryIO
    name: str
    sheet: str | None = None
    sha256: bytes
    byte_count: int


class ReadFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was read to its end.

    - `upload`: the file.
    - `format`, `columns`, `skipped_lines`: how it is written.
    - `good_count`, `bad_count`: its rows, and those whose syntax is broken.
    - `long_count`: cells of which only the beginning is kept.
    - `short_count`: rows with fewer cells than the header.
    - `rows`: all of them, in batches.
    """

    upload: UploadedFile
    format: CsvFormat
    columns: FileColumns
    skipped_lines: tuple[str, ...]
    good_count: int
    bad_count: int
    long_count: int
    short_count: int
    rows: BinaryIO


class ImportUploads:
    """The use cases of uploaded files."""

    def __init__(self, ids: Ids, clock: Clock) -> None:
        self._ids = ids
        self._clock = clock
        self._places = anyio.Semaphore(FILES_AT_ONCE)
        self._under_way = Bulkhead(MOST_UNDER_WAY, MOST_OF_USER)

    def under_way(self, importer: Importer) -> AbstractContextManager[None]:
        """Count a file while it arrives and is staged: it stands on disk. Raises: Throttled."""
        return self._under_way.hold(importer.owner, _refuse_upload)

    async def require_room(self, db: Reader, importer: Importer) -> None:
        """Require that a user starts their files before they stage more. Raises: Throttled."""
        if importer.owner is None:
            return
        if await imports.count_waiting(db, importer.owner) >= MOST_WAITING:
            raise Throttled(
                f"{MOST_WAITING} of your files wait to be started: start them, or wait until they"
                " are dropped, a day after their upload",
                retry_after_seconds=3_600.0,
                code="imports.upload.too_many",
            )

    @asynccontextmanager
    async def read(
        self, db: Reader, upload: UploadedFile, importer: Importer
    ) -> AsyncIterator[ReadFile | None]:
        """Read a file, and hold its rows while the block stores them; None: it waits already.

        Waits: while others are read. Raises: Invalid, saying what to change.
        """
        async with self._places:
            if await self._waits(db, upload, importer):
                yield None
                return
            async with anyio.TemporaryFile() as target:
                wrapped = cast("BinaryIO", target.wrapped)
                yield await to_thread.run_sync(_read, upload, wrapped)

    async def _waits(self, db: Reader, upload: UploadedFile, importer: Importer) -> bool:
        """Whether the file waits already; the first sheet with a table is not known yet."""
        if upload.sheet is None and await to_thread.run_sync(is_workbook, upload.file):
            return False
        waiting_id = await imports.find_waiting_file(
            db, upload.sha256, upload.sheet, importer.owner
        )
        return waiting_id is not None

    async def stage(
        self, tx: Tx, upload: UploadedFile, file: ReadFile | None, importer: Importer
    ) -> UUID:
        """Stage a file's rows until it is started; return the import's id.

        The same bytes of the same owner are staged once while they wait. Raises: Transient when
        those that waited were started meanwhile.
        """
        await imports.lock_file(tx, upload.sha256)
        sheet = upload.sheet if file is None else file.format.sheet
        waiting_id = await imports.find_waiting_file(tx, upload.sha256, sheet, importer.owner)
        if waiting_id is not None:
            return waiting_id
        if file is None:
            raise Transient(
                "the same file waited here and was started just now: send it again to import it"
                " once more",
                code="imports.upload.overtaken",
            )
        staged = self._describe(file, importer)
        await imports.stage_file(tx, staged, self._clock.now())
        while batch := await to_thread.run_sync(_next_batch, file.rows):
            await rows.stage_rows(tx, staged.id, batch)
        await imports.record_row_counts(tx, staged.id, file.good_count, file.bad_count)
        return staged.id

    def _describe(self, file: ReadFile, importer: Importer) -> StagedFile:
        skipped_lines = file.skipped_lines[:SHOWN_SKIPPED_LINES]
        notes = [f"left out before the header: {line[:100]}" for line in skipped_lines]
        if file.long_count:
            notes.append(
                f"{file.long_count:,} cells are longer than {MAX_TEXT:,} characters: only so many"
                " of each are kept"
            )
        if file.short_count:
            notes.append(
                f"{file.short_count:,} rows have fewer cells than the header: those that lack are"
                " read as empty"
            )
        return StagedFile(
            id=self._ids.new(),
            name=make_storable(file.upload.name) or "upload.csv",
            sha256=file.upload.sha256,
            byte_count=file.upload.byte_count,
            encoding=file.format.encoding,
            delimiter=file.format.delimiter,
            sheet=file.format.sheet,
            sheets=file.format.sheets,
            columns=file.columns,
            warnings=tuple(
                make_storable(warning)
                for warning in (*file.format.warnings, *file.columns.warnings, *notes)
            ),
            owner=importer.owner,
            made_by=importer.by,
        )


def _refuse_upload(load: Load) -> Throttled:
    what = (
        f"you are uploading {MOST_OF_USER} files"
        if load.is_own_full
        else f"{MOST_UNDER_WAY} files are being uploaded"
    )
    return Throttled(
        f"{what}: wait for one to end", retry_after_seconds=5.0, code="imports.upload.busy"
    )


def _read(upload: UploadedFile, target: BinaryIO) -> ReadFile:
    """Read all rows into another file. Raises: Invalid."""
    with open_table_file(upload.file, upload.sheet) as file:
        columns = describe_columns(file)
        odd_rows = OddRows(len(file.headers))
        scan = ConsentScan(columns.columns, headings_of(file))
        unread, opt_ins = UnreadColumns(columns), OptInNoes(columns.columns)
        records = opt_ins.watch(unread.watch(scan.watch(odd_rows.watch(file.records))))
        good_count, bad_count = _write_rows(records, target)
        target.seek(0)
        return ReadFile(
            upload=upload,
            format=file.format,
            columns=msgspec.structs.replace(
                columns,
                columns=scan.describe(),
                warnings=(
                    *columns.warnings,
                    *unread.warnings(),
                    *scan.warnings(),
                    *opt_ins.warnings(),
                ),
            ),
            skipped_lines=file.skipped_lines,
            good_count=good_count,
            bad_count=bad_count,
            long_count=odd_rows.long_count,
            short_count=odd_rows.short_count,
            rows=target,
        )


class OddRows:
    """Counts the cells that are longer than what is kept of one, and the rows that lack some."""

    def __init__(self, width: int) -> None:
        self._width = width
        self.long_count = 0
        self.short_count = 0

    def watch(self, records: Iterable[Record]) -> Iterator[Record]:
        """Pass records on, and count."""
        for record in records:
            if record.problem is None:
                if max(map(len, record.cells)) > MAX_TEXT:
                    self.long_count += sum(len(cell) > MAX_TEXT for cell in record.cells)
                self.short_count += len(record.cells) < self._width
            yield record


def _write_rows(records: Iterable[Record], target: BinaryIO) -> tuple[int, int]:
    good_count = bad_count = 0
    staged = rows.stage(records)
    while batch := _take_batch(staged):
        broken_count = sum(row.reason is not None for row in batch)
        good_count += len(batch) - broken_count
        bad_count += broken_count
        if good_count + bad_count > MAX_ROWS:
            raise Invalid(
                f"the file has more than {MAX_ROWS:,} rows: split it", code="leads.csv.too_long"
            )
        encoded = _encode(batch)
        target.write(len(encoded).to_bytes(_LENGTH_BYTES, "big") + encoded)
    if not good_count + bad_count:
        raise Invalid("the file has a header and no rows", code="leads.csv.empty")
    return good_count, bad_count


def _take_batch(staged: Iterator[StagedRow]) -> list[StagedRow]:
    return list(itertools.islice(staged, BATCH_ROWS))


def _next_batch(source: BinaryIO) -> list[StagedRow]:
    """Return the next batch that was written; empty at the end."""
    length = source.read(_LENGTH_BYTES)
    return _decode(source.read(int.from_bytes(length, "big"))) if length else []
