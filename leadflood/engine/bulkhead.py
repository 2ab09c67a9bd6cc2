"""Bulkheads: how much of something may be under way at once, of one caller and in all."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from leadflood.engine.errors import Throttled


class Load(msgspec.Struct, frozen=True):
    """What is under way where one more is refused; `is_own_full`: for the caller's own share."""

    of_caller: int
    in_all: int
    is_own_full: bool


class Bulkhead:
    """A bulkhead: one caller cannot take the places of all."""

    def __init__(self, in_all: int, per_caller: int) -> None:
        self._in_all = in_all
        self._per_caller = per_caller
        self._count_by_caller: Counter[str | None] = Counter()

    @contextmanager
    def hold(self, caller: str | None, refuse: Callable[[Load], Throttled]) -> Iterator[None]:
        """Count one more of a caller while the block runs; None has no share of its own to fill.

        Raises: Throttled, made by `refuse`, where the caller or all have as many as may be.
        """
        count, in_all = self._count_by_caller[caller], self._count_by_caller.total()
        is_own_full = caller is not None and count >= self._per_caller
        if is_own_full or in_all >= self._in_all:
            raise refuse(Load(count, in_all, is_own_full))
        self._count_by_caller[caller] += 1
        try:
            yield
        finally:
            self._count_by_caller[caller] -= 1
            if not self._count_by_caller[caller]:
                del self._count_by_caller[caller]
