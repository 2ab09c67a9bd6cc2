"""Result table: the cells that the output adds to a row, and the counts of its leads."""

from collections.abc import Callable, Sequence
from uuid import UUID

import msgspec

from leadflood.cli.console import format_money
from leadflood.contracts.found_values import Scalar
from leadflood.contracts.values import Band, FieldName
from leadflood.domain.imports.schemas.rows import ImportRow
from leadflood.domain.leads.schemas.lead_states import LeadStatus
from leadflood.domain.leads.schemas.profiles import LeadProfile
from leadflood.domain.runs.schemas import LeadCost
from leadflood.domain.scoring.schemas import Prediction

TOP_REASONS = 3
SCORED, FAILED, UNFINISHED = "scored", "failed", "unfinished"
RESULT_FIELDS = (
    FieldName.FULL_NAME,
    FieldName.TITLE,
    FieldName.SENIORITY,
    FieldName.EMAIL,
    FieldName.PHONE,
    FieldName.MOBILE_PHONE,
    FieldName.LINKEDIN_URL,
    FieldName.COUNTRY,
    FieldName.COMPANY_NAME,
    FieldName.COMPANY_DOMAIN,
    FieldName.COMPANY_SIZE,
    FieldName.COMPANY_INDUSTRY,
    FieldName.COMPANY_COUNTRY,
    FieldName.COMPANY_TECHNOLOGIES,
)
ADDED_COLUMNS = (
    "score",
    "band",
    "why",
    *(f"found_{field.value}" for field in RESULT_FIELDS),
    "email_status",
    "cost",
    "lead_id",
    "status",
    "code",
    "note",
)
COLUMNS_AFTER_STATUS = 3

Explain = Callable[[Prediction], Sequence[str]]


class OutputCounts(msgspec.Struct):
    """The rows and leads of the output."""

    rows: int = 0
    leads: int = 0
    scored: int = 0
    high: int = 0
    medium: int = 0
    low: int = 0
    failed: int = 0
    unfinished: int = 0

    def add(self, status: str, prediction: Prediction | None) -> None:
        """Count one lead."""
        self.leads += 1
        if status != SCORED or prediction is None:
            self.failed += status == FAILED
            self.unfinished += status == UNFINISHED
            return
        self.scored += 1
        match prediction.score.band:
            case Band.HIGH:
                self.high += 1
            case Band.MEDIUM:
                self.medium += 1
            case Band.LOW:
                self.low += 1


class LeadResults(msgspec.Struct, frozen=True):
    """The results of some leads, by the id that a row was given."""

    profiles: dict[UUID, LeadProfile]
    scores: dict[UUID, Prediction]
    costs: dict[UUID, LeadCost]
    codes: dict[UUID, str]


class ResultTable:
    """Fills the added cells row by row; a lead is counted and paid at its first row."""

    def __init__(self, explain: Explain) -> None:
        self._explain = explain
        self._first_rows: dict[UUID, int] = {}
        self.counts = OutputCounts()

    def cells(self, row: ImportRow, lead_id: UUID | None, results: LeadResults) -> list[str]:
        """Return the added cells of a row."""
        self.counts.rows += 1
        profile = results.profiles.get(lead_id) if lead_id is not None else None
        if profile is None:
            self.counts.unfinished += 1
            blank = [""] * (len(ADDED_COLUMNS) - COLUMNS_AFTER_STATUS)
            return [*blank, UNFINISHED, "", "its lead is not imported yet: run the command again"]
        first_row = self._first_rows.setdefault(profile.lead_id, row.number)
        return self._lead_cells(row, first_row, profile, results)

    def _lead_cells(
        self, row: ImportRow, first_row: int, profile: LeadProfile, results: LeadResults
    ) -> list[str]:
        prediction = _score_of(profile, results.scores)
        status = _status_of(profile, prediction)
        is_first = first_row == row.number
        if is_first:
            self.counts.add(status, prediction)
        score_cells: Sequence[str] = ("", "", "")
        if status == SCORED and prediction is not None:
            score_cells = _score_cells(prediction, self._explain(prediction))
        return [
            *score_cells,
            *(_field_cell(profile, field) for field in RESULT_FIELDS),
            _cell(profile.get(FieldName.EMAIL_STATUS)),
            format_money(_cost_of(profile, results.costs) if is_first else 0),
            str(profile.lead_id),
            status,
            profile.failed_code or _code_of(profile, results.codes),
            "; ".join(_notes(row, first_row)),
        ]


def _score_of(profile: LeadProfile, scores: dict[UUID, Prediction]) -> Prediction | None:
    """Return the survivor's score, or else the newest score of its merged leads."""
    predictions = [scores[member] for member in profile.members if member in scores]
    newest = max(predictions, key=lambda prediction: prediction.id, default=None)
    return scores.get(profile.lead_id) or newest


def _status_of(profile: LeadProfile, prediction: Prediction | None) -> str:
    if profile.status is LeadStatus.FAILED:
        return FAILED
    return UNFINISHED if prediction is None else SCORED


def _cost_of(profile: LeadProfile, costs: dict[UUID, LeadCost]) -> int:
    return sum(costs[member].micros for member in profile.members if member in costs)


def _score_cells(prediction: Prediction, explanation: Sequence[str]) -> Sequence[str]:
    parts = explanation[1 : 1 + len(prediction.score.contributions)]
    filtered = [part for part in parts if "hard filter not met" in part]
    reasons = [*filtered, *(part for part in parts if part not in filtered)][:TOP_REASONS]
    points = f"{prediction.score.score_milli / 1000:.3f}"
    return points, prediction.score.band.value, f"because {'; '.join(reasons)}" if reasons else ""


def _code_of(profile: LeadProfile, codes: dict[UUID, str]) -> str:
    return next((codes[member] for member in profile.members if member in codes), "")


def _field_cell(profile: LeadProfile, field: FieldName) -> str:
    text = _cell(profile.get(field))
    if text or field is not FieldName.FULL_NAME:
        return text
    return f"{profile.text(FieldName.FIRST_NAME)} {profile.text(FieldName.LAST_NAME)}".strip()


def _cell(value: Scalar | None) -> str:
    if value is None:
        return ""
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _notes(row: ImportRow, first_row: int) -> list[str]:
    if first_row == row.number:
        return list(row.notes)
    return [*row.notes, f"the same lead as line {first_row}: counted and paid once"]
