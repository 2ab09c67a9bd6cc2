"""Import of the input's rows, in chunks, so that an interrupted run continues."""

import msgspec

from leadflood.domain.imports.schemas.rows import ImportRow, ReadCsv
from leadflood.domain.imports.schemas.views import NewImport
from leadflood.domain.imports.service.command_imports import CommandImports
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.db.tx import sqlstate_of
from leadflood.engine.queue import runs
from leadflood.engine.queue.publisher import Publisher
from leadflood.wiring.storage import Storage

CHUNK_SIZE = 500
MAX_TRIES = 5
RETRY_SECONDS = 0.1
RETRYABLE_SQLSTATES = ("40", "55P03", "57014")


class ImportProgress(msgspec.Struct):
    """The file, and how many of its rows are imported."""

    new: NewImport
    csv: ReadCsv
    row_count: int = 0


async def import_rows(storage: Storage, progress: ImportProgress, publisher: Publisher) -> None:
    """Import the rows that are not in yet, a transaction a chunk, with the jobs of its leads."""
    await storage.master_secrets.prove()
    service = CommandImports(storage.address_key(), storage.ids, storage.clock)
    new, rows = progress.new, progress.csv.rows
    async with storage.db.transaction() as tx:
        await service.start_import(tx, new, progress.csv)
    imported = set(await service.list_leads(storage.db, new.run_id))
    remaining = [row for row in rows if row.number not in imported]
    progress.row_count = len(rows) - len(remaining)
    for start in range(0, len(remaining), CHUNK_SIZE):
        chunk = remaining[start : start + CHUNK_SIZE]
        await _import_chunk(service, new, chunk, publisher)
        progress.row_count += len(chunk)
    await service.finish_import(storage.db, new.run_id)
    await runs.finish_loading(storage.db, new.run_id)


async def _import_chunk(
    service: CommandImports, new: NewImport, chunk: list[ImportRow], publisher: Publisher
) -> None:
    """Import one chunk; one that collides with another transaction is repeated whole."""
    for tries_left in reversed(range(MAX_TRIES)):
        try:
            async with publisher.transaction() as publication:
                created = await service.import_rows(publication.tx, new, chunk)
                await publication.publish(created, run_id=new.run_id)
        except Exception as error:
            state = sqlstate_of(error)
            if not tries_left or state is None or not state.startswith(RETRYABLE_SQLSTATES):
                raise
            await REAL_TIME.sleep(RETRY_SECONDS)
        else:
            return
