"""What `leadflood run` writes: each usable row of the input once, with what became of it."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from uuid import UUID

import msgspec
from anyio import to_thread

from leadflood.app import Storage
from leadflood.cli.console import USAGE, money
from leadflood.cli.run.csv_file import write_cells
from leadflood.contracts.found_values import Scalar
from leadflood.contracts.values import Band, FieldName
from leadflood.domain.leads import importing, store as leads
from leadflood.domain.leads.schemas import ImportRow, LeadProfile, LeadStatus, NewImport, ReadCsv
from leadflood.domain.overview import store as overview
from leadflood.domain.overview.schemas import LeadCost
from leadflood.domain.scoring.schemas import Prediction
from leadflood.engine.errors import Invalid

CHUNK = 500
TOP_REASONS = 3
FOUND = (
    FieldName.FULL_NAME,
    FieldName.TITLE,
    FieldName.SENIORITY,
    FieldName.EMAIL,
    FieldName.PHONE,
    FieldName.LINKEDIN_URL,
    FieldName.COUNTRY,
    FieldName.COMPANY_NAME,
    FieldName.COMPANY_DOMAIN,
    FieldName.COMPANY_SIZE,
    FieldName.COMPANY_INDUSTRY,
    FieldName.COMPANY_COUNTRY,
    FieldName.COMPANY_TECHNOLOGIES,
)
ADDED = (
    "score",
    "band",
    "why",
    *(f"found_{field.value}" for field in FOUND),
    "email_status",
    "cost",
    "lead_id",
    "status",
    "code",
    "note",
)
SCORED, FAILED, UNFINISHED = "scored", "failed", "unfinished"


class Written(msgspec.Struct):
    """What the output holds."""

    rows: int = 0
    leads: int = 0
    scored: int = 0
    high: int = 0
    medium: int = 0
    low: int = 0
    failed: int = 0
    unfinished: int = 0


class _Known(msgspec.Struct, frozen=True):
    """All that is known of some leads, by the id that a row was given."""

    profiles: dict[UUID, LeadProfile]
    scores: dict[UUID, Prediction]
    costs: dict[UUID, LeadCost]
    codes: dict[UUID, str]


def check_writable(output: Path, input_file: Path) -> None:
    """Refuse a place that cannot be written, before anything is paid for. Raises: Invalid."""
    folder = output.parent
    problem = None
    if not folder.is_dir():
        problem = f"the folder {folder} does not exist: make it first"
    elif output.is_dir():
        problem = f"{output} is a folder: name a file"
    elif output.exists() and input_file.exists() and output.samefile(input_file):
        problem = "it is the input itself: name another file"
    if problem is not None:
        raise Invalid.field("--output", problem, code=USAGE)
    probe = output.with_name(f".{output.name}.probe")
    write_cells(probe, [])
    probe.unlink()


async def write_output(storage: Storage, new: NewImport, read: ReadCsv, output: Path) -> Written:
    """Write every usable row with its lead's score; leads named twice cost once."""
    lead_of = await importing.list_leads(storage.db, new.run_id)
    desk = _Desk(storage, new, lead_of)
    headers = [match.header for match in read.mapping]
    rows: list[Sequence[str]] = [[*headers, *_added_names(headers)]]
    for start in range(0, len(read.rows), CHUNK):
        rows += await desk.rows_of(read.rows[start : start + CHUNK], len(headers))
    await to_thread.run_sync(write_cells, output, rows)
    return desk.written


def _added_names(headers: Iterable[str]) -> list[str]:
    taken = {header.strip().casefold() for header in headers}
    return [f"leadflood_{name}" if name in taken else name for name in ADDED]


class _Desk:
    """Turns rows of the input into rows of the output, remembering who was told before."""

    def __init__(self, storage: Storage, new: NewImport, lead_of: dict[int, UUID]) -> None:
        self._storage = storage
        self._new = new
        self._lead_of = lead_of
        self._first_row: dict[UUID, int] = {}
        self.written = Written()

    async def rows_of(self, rows: Sequence[ImportRow], width: int) -> list[list[str]]:
        """Complete a chunk."""
        ids = {self._lead_of[row.number] for row in rows if row.number in self._lead_of}
        known = await self._know(ids)
        return [
            [*_padded(row.raw, width), *self._added(row, self._lead_of.get(row.number), known)]
            for row in rows
        ]

    async def _know(self, lead_ids: set[UUID]) -> _Known:
        profiles = await leads.profiles(self._storage.db, lead_ids)
        everyone = sorted({member for one in profiles.values() for member in one.members})
        return _Known(
            profiles,
            await self._storage.scores.scores_of(everyone, self._new.icp_id),
            await overview.list_lead_costs(self._storage.db, self._new.run_id, everyone),
            await overview.list_lead_codes(self._storage.db, self._new.run_id, everyone),
        )

    def _added(self, row: ImportRow, lead_id: UUID | None, known: _Known) -> list[str]:
        self.written.rows += 1
        profile = known.profiles.get(lead_id) if lead_id is not None else None
        if profile is None:
            self.written.unfinished += 1
            blank = [""] * (len(ADDED) - 3)
            return [*blank, UNFINISHED, "", "its lead is not in yet: run the command again"]
        first = self._first_row.setdefault(profile.lead_id, row.number)
        prediction = _score_of(profile, known.scores)
        status = _status_of(profile, prediction)
        if first == row.number:
            self._count(status, prediction)
        cost = 0 if first != row.number else _cost_of(profile, known.costs)
        return [
            *(_score_cells(self._storage, prediction) if status == SCORED else ("", "", "")),
            *(_found(profile, field) for field in FOUND),
            _text(profile.get(FieldName.EMAIL_STATUS)),
            money(cost),
            str(profile.lead_id),
            status,
            profile.failed_code or _code_of(profile, known.codes),
            "; ".join(_notes(row, first)),
        ]

    def _count(self, status: str, prediction: Prediction | None) -> None:
        written = self.written
        written.leads += 1
        if status != SCORED or prediction is None:
            written.failed += status == FAILED
            written.unfinished += status == UNFINISHED
            return
        written.scored += 1
        match prediction.score.band:
            case Band.HIGH:
                written.high += 1
            case Band.MEDIUM:
                written.medium += 1
            case Band.LOW:
                written.low += 1


def _padded(cells: Sequence[str], width: int) -> list[str]:
    return [*cells, *[""] * (width - len(cells))][:width]


def _score_of(profile: LeadProfile, scores: dict[UUID, Prediction]) -> Prediction | None:
    """Take the newest score of the leads that are one; the survivor's wins."""
    found = [scores[member] for member in profile.members if member in scores]
    return scores.get(profile.lead_id) or max(found, key=lambda one: one.id, default=None)


def _status_of(profile: LeadProfile, prediction: Prediction | None) -> str:
    if profile.status is LeadStatus.FAILED:
        return FAILED
    return UNFINISHED if prediction is None else SCORED


def _cost_of(profile: LeadProfile, costs: dict[UUID, LeadCost]) -> int:
    return sum(costs[member].micros for member in profile.members if member in costs)


def _score_cells(storage: Storage, prediction: Prediction | None) -> Sequence[str]:
    if prediction is None:
        return ("", "", "")
    parts = storage.scores.explain(prediction)[1 : 1 + len(prediction.score.contributions)]
    filtered = [part for part in parts if "hard filter not met" in part]
    why = [*filtered, *(part for part in parts if part not in filtered)][:TOP_REASONS]
    points = f"{prediction.score.score_milli / 1000:.3f}"
    return points, prediction.score.band.value, f"because {'; '.join(why)}" if why else ""


def _code_of(profile: LeadProfile, codes: dict[UUID, str]) -> str:
    return next((codes[member] for member in profile.members if member in codes), "")


def _found(profile: LeadProfile, field: FieldName) -> str:
    text = _text(profile.get(field))
    if text or field is not FieldName.FULL_NAME:
        return text
    return f"{profile.text(FieldName.FIRST_NAME)} {profile.text(FieldName.LAST_NAME)}".strip()


def _text(value: Scalar | None) -> str:
    if value is None:
        return ""
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _notes(row: ImportRow, first: int) -> list[str]:
    if first == row.number:
        return list(row.notes)
    return [*row.notes, f"the same lead as line {first}: counted and paid once"]
