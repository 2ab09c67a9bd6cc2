import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import msgspec
import pytest
from hypothesis import example, given, strategies as st
from leadflood.contracts.csv_safety import MARK
from leadflood.contracts.values import FieldName
from leadflood.domain.lead_views.rules.export_file import BOM, HEADERS, ExportFile, flatten
from leadflood.domain.lead_views.schemas import ExportFormat, LeadSummary
from leadflood.domain.leads.schemas.lead_states import LeadStatus

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


def written(export_format: ExportFormat, pieces: Sequence[Sequence[str]]) -> bytes:
    file = ExportFile(export_format)
    parts = [file.add([a_lead(name) for name in names]) for names in pieces]
    return b"".join([file.begin(), *parts, file.end()])


@given(PIECES)
def test_json_in_any_number_of_pieces_is_one_array(pieces: list[list[str]]) -> None:
    rows = msgspec.json.decode(written(ExportFormat.JSON, pieces))

    assert [row["fullName"] for row in rows] == [name for names in pieces for name in names]


@given(PIECES)
def test_each_line_is_a_lead(pieces: list[list[str]]) -> None:
    lines = written(ExportFormat.NDJSON, pieces).splitlines()

    names = [msgspec.json.decode(line)["fullName"] for line in lines]
    assert names == [name for names in pieces for name in names]


@given(PIECES)
@example([[MARK, f"{MARK}=1", "=1"]])
def test_a_csv_reads_back_to_its_leads(pieces: list[list[str]]) -> None:
    text = written(ExportFormat.CSV, pieces).decode()

    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    names = [row["fullName"].removeprefix(MARK) for row in rows]
    assert names == [name for names in pieces for name in names]


@pytest.mark.parametrize(("has_bom", "beginning"), [(True, BOM), (False, b"")])
def test_only_a_csv_that_asks_for_it_begins_with_a_byte_order_mark(
    *, has_bom: bool, beginning: bytes
) -> None:
    file = ExportFile(ExportFormat.CSV, has_bom=has_bom)

    assert file.begin() == beginning + ",".join(HEADERS).encode() + b"\r\n"
    assert ExportFile(ExportFormat.JSON, has_bom=has_bom).begin() == b"["


def test_unknown_values_are_empty_and_tags_are_one_cell() -> None:
    lead = a_lead("Ann", ("vip", "two words"))

    row = flatten(lead)

    assert (row.full_name, row.email, row.tags) == ("Ann", None, ("vip", "two words"))
    cells = next(csv.reader([ExportFile(ExportFormat.CSV).add([lead]).decode()]))
    assert dict(zip(HEADERS, cells, strict=True))["tags"] == "vip, two words"
