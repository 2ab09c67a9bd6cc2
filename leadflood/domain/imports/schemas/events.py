"""Events of imports, and the parts of a file that are due."""

from uuid import UUID

from typing_extensions import override

from leadflood.engine.queue.event import Event


class ImportEvent(Event, frozen=True):
    """Something that happened to an import."""

    import_id: UUID

    @override
    def subject(self) -> UUID:
        return self.import_id


class ImportStarted(ImportEvent, frozen=True, tag="leads.import.started"):
    """Its rows are being read."""


class ImportAdvanced(ImportEvent, frozen=True, tag="leads.import.advanced"):
    """`done_count` of its rows have their outcome."""

    done_count: int
    row_count: int


class ImportCompleted(ImportEvent, frozen=True, tag="leads.import.completed"):
    """All its rows have their outcome; the leads go on in the run of the same id."""


class ImportFailed(ImportEvent, frozen=True, tag="leads.import.failed"):
    """It stopped; `code` says why. What is in can be undone."""

    code: str


class ImportUndone(ImportEvent, frozen=True, tag="leads.import.undone"):
    """The import is undone, except for the rows that are kept."""

    undone_count: int
    kept_count: int


BEYOND_LAST_LINE = 2**31 - 1
"""The line behind all lines of any file: an undo begins there."""


class PartRequested(ImportEvent, frozen=True):
    """The next part of a file is due, behind line `after`; of an undo, before it."""

    after: int

    @override
    def job_key(self) -> str:
        return f"{self.import_id}:{self.after}"


class ImportPartWanted(PartRequested, frozen=True, tag="leads.import.part_wanted"):
    """The next rows are to become leads."""

    internal = True


class UndoPartWanted(PartRequested, frozen=True, tag="leads.import.undo_wanted"):
    """The next rows are to be undone."""

    internal = True
