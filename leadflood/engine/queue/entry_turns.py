"""Entry turns: where work from outside enters the queue, so that no source crowds out the others.

Work enters at the smallest turn that waits. What comes from one source (one user's runs of one
kind) takes one turn after the other, as the follow-ups of one task do: ten thousand runs of a
single thing are as one run of ten thousand, and a long run goes on beside them (start-time fair
queueing; Goyal, Vin, Cheng 1996).
"""

from collections.abc import Mapping
from uuid import UUID

MOST_SOURCES = 10_000


class EntryTurns:
    """The next turn of each source, as far as it has work waiting; one for each process."""

    def __init__(self) -> None:
        self._next: dict[str, int] = {}

    def take(self, source: str, smallest: int) -> int:
        """Return the turn of a source's next job; `smallest` is the smallest that waits."""
        turn = max(smallest, self._next.pop(source, smallest))
        self._next[source] = turn + 1
        if len(self._next) > MOST_SOURCES:
            del self._next[next(iter(self._next))]
        return turn

    def forget(self) -> None:
        """Nothing waits: whoever comes next begins anew."""
        self._next.clear()


class Entries:
    """The entries of one transaction, with the sources of its runs."""

    def __init__(
        self, turns: EntryTurns, smallest: int | None, sources: Mapping[UUID, str]
    ) -> None:
        if smallest is None:
            turns.forget()
        self._turns = turns
        self._smallest = smallest or 0
        self._sources = sources

    def take(self, run_id: UUID | None) -> int:
        """Return the turn of the next job of a run; jobs of no run are a source too."""
        source = "" if run_id is None else self._sources.get(run_id, str(run_id))
        return self._turns.take(source, self._smallest)
