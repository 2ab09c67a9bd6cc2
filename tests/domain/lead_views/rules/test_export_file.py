import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import msgspec
import pytest
from hypothesis import example, given, strategies as st
from leadflood.contracts.csv_safety import MARK, restore
from leadflood.contracts.found_values import Scalar
from leadflood.contracts.lead_columns import VALUES
from leadflood.contracts.values import FieldName
from leadflood.domain.lead_views.rules import export_file
from leadflood.domain.lead_views.rules.export_columns import DEFAULT, read_columns
from leadflood.domain.lead_views.rules.export_file import BOM, begin_file
from leadflood.domain.lead_views.schemas import (
    ExportedLead,
    ExportFormat,
    ExportOptions,
    LeadSummary,
)
from leadflood.domain.leads.schemas.lead_states import LeadStatus
from leadflood.engine.errors import Invalid
from python_calamine import load_workbook

AT = datetime(2026, 1, 1, tzinfo=UTC)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"))
PIECES = st.lists(st.lists(TEXTS, max_size=3), max_size=4)


def a_lead(name: str, tags: tuple[str, ...] = ()) -> LeadSummary:
    return LeadSummary(
        id=UUID(int=1),
        version=1,
        status=LeadStatus.NEW,
        failed_code=None,
        source="api",
        owner=None,
        tags=tags,
        company_id=None,
        values={FieldName.FULL_NAME: name},
        score=None,
        band=None,
        icp_id=None,
        run_id=None,
        scored_at=None,
        created_at=AT,
        updated_at=AT,
    )


def exported(name: str, tags: tuple[str, ...] = (), **values: Scalar) -> ExportedLead:
    fields = {FieldName(field): value for field, value in values.items()}
    return ExportedLead(summary=a_lead(name, tags), values=fields, owner_email="o@x.com")


def written(
    export_format: ExportFormat,
    pieces: Sequence[Sequence[ExportedLead]],
    columns: Sequence[str] = DEFAULT,
    *,
    has_bom: bool = False,
) -> bytes:
    target = io.BytesIO()
    options = ExportOptions(format=export_format, columns=tuple(columns), has_bom=has_bom)
    file = begin_file(target, options)
    try:
        for piece in pieces:
            file.add(piece)
        file.end()
    except Invalid:
        file.discard()
        raise
    return target.getvalue()


def named(pieces: Sequence[Sequence[str]]) -> list[list[ExportedLead]]:
    return [[exported(name) for name in names] for names in pieces]


@given(PIECES)
def test_json_in_any_number_of_pieces_is_one_array(pieces: list[list[str]]) -> None:
    rows = msgspec.json.decode(written(ExportFormat.JSON, named(pieces)))

    assert [row["fullName"] for row in rows] == [name for names in pieces for name in names]


@given(PIECES)
def test_each_line_is_a_lead(pieces: list[list[str]]) -> None:
    lines = written(ExportFormat.NDJSON, named(pieces)).splitlines()

    names = [msgspec.json.decode(line)["fullName"] for line in lines]
    assert names == [name for names in pieces for name in names]


@given(PIECES)
@example([[MARK, f"{MARK}=1", "=1", "x;=1+1", "x;'=1", "a\n=b"]])
def test_a_csv_reads_back_to_its_leads(pieces: list[list[str]]) -> None:
    text = written(ExportFormat.CSV, named(pieces)).decode()

    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    names = [restore(row["fullName"]) for row in rows]
    assert names == [name for names in pieces for name in names]


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_no_formula_begins_behind_another_separator(separator: str) -> None:
    raw = written(ExportFormat.CSV, named([[f"x{separator}=1+1", f"y {separator} @z", "+1"]]))

    for row in csv.reader(io.StringIO(raw.decode()), delimiter=separator):
        assert not [cell for cell in row if cell.strip()[:1] in set("=+-@") and cell.strip()]


@pytest.mark.parametrize(("has_bom", "beginning"), [(True, BOM), (False, b"")])
def test_only_a_csv_that_asks_for_it_begins_with_a_byte_order_mark(
    *, has_bom: bool, beginning: bytes
) -> None:
    header = ",".join(DEFAULT).encode() + b"\r\n"

    assert written(ExportFormat.CSV, [], has_bom=has_bom) == beginning + header
    assert written(ExportFormat.JSON, [], has_bom=has_bom) == b"[\n]\n"


def test_a_workbook_holds_texts_as_texts_and_numbers_as_numbers() -> None:
    lead = exported("=1+1", ("vip", "two words"), phone="007", company_size=12)
    columns = ("fullName", "phone", "companySize", "tags", "score", "createdAt")

    raw = written(ExportFormat.XLSX, [[lead], [exported("Ann")]], columns)

    rows = load_workbook(io.BytesIO(raw)).get_sheet_by_index(0).to_python()
    assert rows == [
        list(columns),
        ["=1+1", "007", 12.0, "vip, two words", "", "2026-01-01T00:00:00Z"],
        ["Ann", "", "", "", "", "2026-01-01T00:00:00Z"],
    ]


def test_a_workbook_refuses_what_no_sheet_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_file, "MOST_SHEET_ROWS", 1)

    with pytest.raises(Invalid, match="no sheet holds more than 1 leads"):
        written(ExportFormat.XLSX, named([["Ann", "Bob"]]))
    with pytest.raises(Invalid, match="no sheet holds a fullName of more than 32,767"):
        written(ExportFormat.XLSX, named([["x" * 32_768]]))


def test_unknown_values_are_empty_and_lists_are_one_cell() -> None:
    lead = exported("Ann", ("vip", "two words"), company_technologies=("Go", "Ruby, on Rails"))
    columns = read_columns("full_name,email,tags,companyTechnologies,ownerEmail")

    (row,) = csv.DictReader(io.StringIO(written(ExportFormat.CSV, [[lead]], columns).decode()))

    assert row == {
        "id": str(UUID(int=1)),
        "fullName": "Ann",
        "email": "",
        "companyTechnologies": 'Go, "Ruby, on Rails"',
        "ownerEmail": "o@x.com",
        "tags": "vip, two words",
    }


def test_every_field_can_be_asked_for() -> None:
    columns = read_columns("all")

    assert set(DEFAULT) < set(columns)
    assert {VALUES[name] for name in columns if name in VALUES} == set(FieldName)
    with pytest.raises(Invalid, match="'shoeSize' is not known"):
        read_columns("email,shoeSize")
