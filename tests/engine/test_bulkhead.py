"""Bulkheads: one caller cannot take the places of all."""

from contextlib import ExitStack

import pytest
from leadflood.engine.bulkhead import Bulkhead, Load
from leadflood.engine.errors import Throttled


class Refused(Throttled):
    """Why a test's bulkhead is full."""

    def __init__(self, load: Load) -> None:
        super().__init__("full", 1.0)
        self.load = load


def test_a_caller_has_a_share_and_leaves_the_other_places_to_others() -> None:
    bulkhead = Bulkhead(in_all=3, per_caller=2)

    with ExitStack() as held:
        for caller in ("ann", "ann", "bob"):
            held.enter_context(bulkhead.hold(caller, Refused))
        loads = []
        for caller in ("ann", "bob"):
            with pytest.raises(Refused) as refused, bulkhead.hold(caller, Refused):
                pass
            loads.append(refused.value.load)

    assert loads == [Load(2, 3, is_own_full=True), Load(1, 3, is_own_full=False)]


def test_a_place_is_free_again_when_its_block_ends_however_it_ends() -> None:
    bulkhead = Bulkhead(in_all=1, per_caller=1)

    for _ in range(2):
        with pytest.raises(ZeroDivisionError), bulkhead.hold("ann", Refused):
            raise ZeroDivisionError

    with bulkhead.hold("ann", Refused):
        pass


def test_a_caller_without_a_name_is_bounded_by_all_alone() -> None:
    bulkhead = Bulkhead(in_all=2, per_caller=1)

    with (
        bulkhead.hold(None, Refused),
        bulkhead.hold(None, Refused),
        pytest.raises(Refused) as refused,
        bulkhead.hold(None, Refused),
    ):
        pass

    assert not refused.value.load.is_own_full
