import pytest
from leadflood.domain.imports.rules.row_outcomes import (
    FOREIGN_LEAD,
    NOT_READ,
    stop_behind_hidden,
)
from leadflood.domain.imports.schemas.rows import RowResult, RowState

SKIPPED = RowResult(number=2, outcome=RowState.SKIPPED)
HIDDEN = {
    number: RowResult(number=number, outcome=RowState.BAD, reason=FOREIGN_LEAD)
    for number in (1, 3, 5)
}


@pytest.mark.parametrize(
    ("allowance", "hidden", "not_read"),
    [
        pytest.param(9, [1, 3, 5], [], id="all may be told"),
        pytest.param(3, [1, 3, 5], [6], id="what stands behind the last is not read"),
        pytest.param(2, [1, 3], [4, 5, 6], id="nor are hidden rows told apart there"),
        pytest.param(0, [], [1, 2, 3, 4, 5, 6], id="nothing is told"),
        pytest.param(-4, [], [1, 2, 3, 4, 5, 6], id="too much was told"),
    ],
)
def test_rows_behind_the_last_that_may_tell_of_a_hidden_lead_are_not_read(
    allowance: int, hidden: list[int], not_read: list[int]
) -> None:
    results = stop_behind_hidden(range(1, 7), {**HIDDEN, 2: SKIPPED}, allowance)

    reasons = {number: result.reason for number, result in results.items()}
    assert [number for number in sorted(results) if reasons[number] == FOREIGN_LEAD] == hidden
    assert [number for number in sorted(results) if reasons[number] == NOT_READ] == not_read
