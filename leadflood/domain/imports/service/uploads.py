"""Uploads: a file's rows are staged until somebody maps and starts them."""

import itertools
from collections.abc import Iterator
from typing import BinaryIO
from uuid import UUID

import msgspec
from anyio import to_thread

from leadflood.domain.imports.repository import imports, rows
from leadflood.domain.imports.repository.imports import StagedFile
from leadflood.domain.imports.repository.rows import StagedRow
from leadflood.domain.imports.rules.csv_reader import CsvFile, open_csv
from leadflood.domain.imports.rules.mapping_check import describe_columns
from leadflood.domain.imports.schemas.mappings import Importer
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import Invalid
from leadflood.engine.ids import Ids
from leadflood.engine.text import make_storable

BATCH_ROWS = 1_000
MAX_ROWS = 500_000
SHOWN_SKIPPED_LINES = 5


class UploadedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file on disk: its bytes, their hash and number, and what it is called."""

    file: BinaryIO
    name: str
    sha256: bytes
    byte_count: int


class ImportUploads:
    """The use cases of uploaded files."""

    def __init__(self, ids: Ids, clock: Clock) -> None:
        self._ids = ids
        self._clock = clock

    async def stage(self, tx: Tx, upload: UploadedFile, importer: Importer) -> UUID:
        """Stage a file's rows until it is started; return the import's id.

        The same bytes of the same owner are staged once while they wait.
        Raises: Invalid, saying what to change.
        """
        await imports.lock_file(tx, upload.sha256)
        waiting_id = await imports.find_waiting_file(tx, upload.sha256, importer.owner)
        if waiting_id is not None:
            return waiting_id
        opening = open_csv(upload.file)
        csv_file = await to_thread.run_sync(opening.__enter__)
        try:
            staged = self._describe(upload, csv_file, importer)
            await imports.stage_file(tx, staged, self._clock.now())
            await _stage_rows(tx, staged.id, csv_file)
        finally:
            opening.__exit__(None, None, None)
        return staged.id

    def _describe(self, upload: UploadedFile, file: CsvFile, importer: Importer) -> StagedFile:
        skipped_lines = file.skipped_lines[:SHOWN_SKIPPED_LINES]
        skipped = [f"left out before the header: {line[:100]}" for line in skipped_lines]
        return StagedFile(
            id=self._ids.new(),
            name=make_storable(upload.name) or "upload.csv",
            sha256=upload.sha256,
            byte_count=upload.byte_count,
            encoding=file.format.encoding,
            delimiter=file.format.delimiter,
            columns=describe_columns(file),
            warnings=(*file.format.warnings, *skipped),
            owner=importer.owner,
            made_by=importer.by,
        )


async def _stage_rows(tx: Tx, import_id: UUID, file: CsvFile) -> None:
    good_count = bad_count = 0
    staged = rows.stage(file.records)
    while batch := await to_thread.run_sync(_next_batch, staged):
        await rows.stage_rows(tx, import_id, batch)
        broken_count = sum(row.reason is not None for row in batch)
        good_count += len(batch) - broken_count
        bad_count += broken_count
        if good_count + bad_count > MAX_ROWS:
            raise Invalid(
                f"the file has more than {MAX_ROWS:,} rows: split it", code="leads.csv.too_long"
            )
    if not good_count + bad_count:
        raise Invalid("the file has a header and no rows", code="leads.csv.empty")
    await imports.record_row_counts(tx, import_id, good_count, bad_count)


def _next_batch(staged: Iterator[StagedRow]) -> list[StagedRow]:
    return list(itertools.islice(staged, BATCH_ROWS))
