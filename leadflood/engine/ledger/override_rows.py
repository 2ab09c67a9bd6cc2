"""Rows of overrides: what operators set by hand, followed by every node within a second."""

from collections.abc import Callable
from datetime import datetime

import msgspec

from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Row, Tx
from leadflood.engine.errors import PreconditionFailed
from leadflood.engine.net.overrides import NO_OVERRIDES, Overrides

SQL = load_queries(__file__)

ALL = "all"
"""The row of the caps over all providers; no provider is called so."""


class OverrideRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row: what is set, its version, and who set it last, when and why.

    `version` 0: nothing was ever set; then nobody did (`changed_at` None).
    """

    name: str
    overrides: Overrides = NO_OVERRIDES
    version: int = 0
    by_whom: str = ""
    reason: str = ""
    changed_at: datetime | None = None


async def list_all(db: Reader) -> dict[str, OverrideRow]:
    """Read all rows by name."""
    return {row["name"]: _read(row) for row in await db.fetch(SQL.list_tunings)}


class OverrideAuthor(msgspec.Struct, frozen=True, kw_only=True):
    """The author of a change, and why. `if_version` None: the last write wins."""

    by_whom: str
    reason: str = ""
    if_version: int | None = None


async def change(
    tx: Tx,
    name: str,
    apply: Callable[[Overrides], Overrides],
    author: OverrideAuthor,
    now: datetime,
) -> OverrideRow:
    """Change a row under its lock. Raises: PreconditionFailed when it is at another version."""
    await tx.execute(SQL.add_tuning, name=name, state=_write(NO_OVERRIDES), now=now)
    row = await tx.fetch_one(SQL.lock_tuning, name=name)
    before = OverrideRow(name=name) if row is None else _read(row)
    if author.if_version not in {None, before.version}:
        raise PreconditionFailed(
            f"it is at version {before.version}, not at {author.if_version}: read it again",
            code="engine.override.version_conflict",
        )
    after = OverrideRow(
        name=name,
        overrides=apply(before.overrides),
        version=before.version + 1,
        by_whom=author.by_whom,
        reason=author.reason,
        changed_at=now,
    )
    await _store(tx, after, now)
    return after


async def _store(tx: Tx, row: OverrideRow, now: datetime) -> None:
    await tx.execute(
        SQL.write_tuning,
        name=row.name,
        version=row.version,
        state=_write(row.overrides),
        by_whom=row.by_whom,
        reason=row.reason,
        now=now,
    )


class OverrideFollower:
    """The rows as this node last read them."""

    def __init__(self, db: Reader) -> None:
        self._db = db
        self._present: dict[str, OverrideRow] = {}

    async def poll(self) -> list[tuple[OverrideRow, OverrideRow]]:
        """Read the rows; return those that changed, as they were and as they are."""
        rows = await list_all(self._db)
        before, self._present = self._present, rows
        return [
            (before.get(name, OverrideRow(name=name)), after)
            for name, after in rows.items()
            if before.get(name) != after
        ]

    def get(self, name: str) -> OverrideRow:
        """Return what is set for a name."""
        return self._present.get(name, OverrideRow(name=name))


_DECODER = msgspec.json.Decoder(Overrides)


def _read(row: Row) -> OverrideRow:
    return OverrideRow(
        name=row["name"],
        overrides=_DECODER.decode(row["state"]),
        version=row["version"],
        by_whom=row["by_whom"],
        reason=row["reason"],
        changed_at=row["changed_at"],
    )


def _write(overrides: Overrides) -> str:
    return msgspec.json.encode(overrides).decode()
