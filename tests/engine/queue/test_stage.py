from uuid import UUID

import msgspec
from leadflood.engine.clock import ManualClock
from leadflood.engine.errors import NotFound
from leadflood.engine.queue.outcome import Cancelled, Discard, Done
from leadflood.engine.queue.stage import ClaimedTask, FinishedTask, group_failures


class Errand(msgspec.Struct, frozen=True):
    number: int


def finished(number: int, outcome: Done[str] | Discard) -> FinishedTask[Errand, str]:
    claimed = ClaimedTask(Errand(number), UUID(int=number), 1, None, 0, ManualClock().now())
    return FinishedTask(claimed, outcome)


def test_failed_tasks_are_grouped_by_their_code_in_its_order() -> None:
    failures = group_failures(
        [
            finished(1, Discard(NotFound("gone", code="b.not_found"))),
            finished(2, Done("x")),
            finished(3, Discard(NotFound("gone", code="a.not_found"))),
            finished(4, Discard(NotFound("gone", code="b.not_found"))),
        ]
    )

    assert failures == [("a.not_found", [Errand(3)]), ("b.not_found", [Errand(1), Errand(4)])]


def test_a_cancelled_task_has_not_failed() -> None:
    cancelled = finished(1, Discard(Cancelled("the run was cancelled")))

    assert cancelled.is_cancelled
    assert cancelled.failure_code is None
    assert group_failures([cancelled]) == []
