from uuid import uuid4

from leadflood.domain.imports.schemas.column_fields import ColumnField
from leadflood.domain.imports.schemas.mappings import ImportPlan
from leadflood.domain.imports.schemas.records import Record
from leadflood.domain.imports.service.part_parser import MOST_AHEAD, PartParser
from leadflood.engine.clock import SystemClock

PLAN = ImportPlan(fields=(ColumnField.EMAIL,))


def records(start: int) -> tuple[Record, ...]:
    return tuple(Record(number, (f"p{number}@x.com",)) for number in range(start, start + 3))


async def test_the_next_part_is_read_ahead_and_taken_once() -> None:
    parser, import_id = PartParser("EUR", SystemClock()), uuid4()

    first = await parser.parse(import_id, PLAN, records(1), records(4))
    ahead = parser._ahead[import_id].parsed
    second = await parser.parse(import_id, PLAN, records(4), ())

    assert [row.number for row in first.rows] == [*first.people] == [1, 2, 3]
    assert second is ahead.result()
    assert not parser._ahead


async def test_what_was_read_ahead_for_another_plan_or_part_is_not_taken() -> None:
    parser, import_id = PartParser("EUR", SystemClock()), uuid4()
    other = ImportPlan(fields=(ColumnField.CITY,))
    await parser.parse(import_id, PLAN, records(1), records(4))

    again = await parser.parse(import_id, PLAN, records(1), records(4))
    changed = await parser.parse(import_id, other, records(4), ())

    assert [row.number for row in again.rows] == [1, 2, 3]
    assert all(hasattr(row, "reason") for row in changed.rows)


async def test_few_parts_are_held() -> None:
    parser = PartParser("EUR", SystemClock())

    for _ in range(3 * MOST_AHEAD):
        await parser.parse(uuid4(), PLAN, records(1), records(4))

    assert len(parser._ahead) == MOST_AHEAD
