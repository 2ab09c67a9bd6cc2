"""Output of `leadflood run`: each usable row of the input once, with the result of its lead."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from uuid import UUID

from anyio import to_thread

from leadflood.cli.console import USAGE_ERROR
from leadflood.cli.run.csv_file import write_csv_file
from leadflood.cli.run.result_table import ADDED_COLUMNS, LeadResults, OutputCounts, ResultTable
from leadflood.domain.imports.schemas.rows import ReadCsv
from leadflood.domain.imports.schemas.views import NewImport
from leadflood.domain.imports.service.command_imports import CommandImports
from leadflood.domain.leads.service import kernel as leads
from leadflood.domain.runs.service.reports import RunReports
from leadflood.engine.errors import Invalid
from leadflood.wiring.storage import Storage

CHUNK_SIZE = 500


def check_writable(output: Path, input_file: Path) -> None:
    """Refuse a path that cannot be written, before anything is paid for. Raises: Invalid."""
    folder = output.parent
    problem = None
    if not folder.is_dir():
        problem = f"the folder {folder} does not exist: make it first"
    elif output.is_dir():
        problem = f"{output} is a folder: name a file"
    elif output.exists() and input_file.exists() and output.samefile(input_file):
        problem = "it is the input itself: name another file"
    if problem is not None:
        raise Invalid.field("--output", problem, code=USAGE_ERROR)
    probe = output.with_name(f".{output.name}.probe")
    write_csv_file(probe, [])
    probe.unlink()


async def write_output(
    storage: Storage, new: NewImport, csv: ReadCsv, output: Path
) -> OutputCounts:
    """Write every usable row with its lead's score; a lead named twice is paid once."""
    imports = CommandImports(storage.address_key(), storage.ids, storage.clock)
    lead_ids = await imports.list_leads(storage.db, new.run_id)
    headers = [column.header for column in csv.columns]
    table = ResultTable(storage.scores.explain)
    rows: list[Sequence[str]] = [[*headers, *_added_headers(headers)]]
    for start in range(0, len(csv.rows), CHUNK_SIZE):
        chunk = csv.rows[start : start + CHUNK_SIZE]
        chunk_ids = {lead_ids[row.number] for row in chunk if row.number in lead_ids}
        results = await _find_results(storage, new, chunk_ids)
        for row in chunk:
            cells = table.cells(row, lead_ids.get(row.number), results)
            rows.append([*_pad(row.raw, len(headers)), *cells])
    await to_thread.run_sync(write_csv_file, output, rows)
    return table.counts


async def _find_results(storage: Storage, new: NewImport, lead_ids: set[UUID]) -> LeadResults:
    profiles = await leads.find_profiles(storage.db, lead_ids)
    member_ids = sorted({member for profile in profiles.values() for member in profile.members})
    reports = RunReports(storage.db)
    return LeadResults(
        profiles,
        await storage.scores.scores_of(member_ids, new.icp_id),
        await reports.list_lead_costs(new.run_id, member_ids),
        await reports.list_lead_codes(new.run_id, member_ids),
    )


def _added_headers(headers: Iterable[str]) -> list[str]:
    existing = {header.strip().casefold() for header in headers}
    return [f"leadflood_{name}" if name in existing else name for name in ADDED_COLUMNS]


def _pad(cells: Sequence[str], width: int) -> list[str]:
    return [*cells, *[""] * (width - len(cells))][:width]
