"""The status of the migrations of a database."""

import msgspec


class MigrationStatus(msgspec.Struct, frozen=True):
    """Where a database stands. `current` is None in an empty one."""

    current: str | None
    newest: str | None
    pending: tuple[str, ...]

    @property
    def is_current(self) -> bool:
        """Whether nothing is left to do."""
        return not self.pending
