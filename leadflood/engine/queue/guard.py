"""The guard: one look at which database this is, how long it was silent and what its clock says.

It looks at a node's start, at each beat and on each new connection of the heartbeat. A database
that was restored, copied, failed over or turned back behind a witness raises the era, holds
sending and makes the node start again: its claims were another history's.
"""

import asyncio
from datetime import datetime
from pathlib import Path

import msgspec

from leadflood.engine.clock import REAL_TIME, Clock
from leadflood.engine.db.tx import Reader, Row
from leadflood.engine.errors import Conflict, Denied
from leadflood.engine.obs.log import log
from leadflood.engine.queue import repository
from leadflood.engine.queue.repository import SQL
from leadflood.engine.queue.witness import EventPlace, Witness, WitnessFile

SENDING = "sending"
INSTALLATION_GONE = "the installation row is gone; restore the database or start with a new one"
LOOK_BEATS = 2
"""How many beats a look is good for: one that is a little late is no reason to hold."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Times in seconds. `held_after_seconds`: a longer silence of all nodes holds sending.

    `clock_apart_seconds`: how far this machine's clock may be from the database's.
    """

    beat_seconds: float = 2.0
    dead_after_seconds: float = 15.0
    held_after_seconds: float = 3600.0
    clock_apart_seconds: float = 5.0


class ClockWrong(Conflict):
    """This machine's clock and the database's are too far apart to work."""

    code = "engine.clock.wrong"


async def register_installation(db: Reader, clock: Clock, mode: str) -> None:
    """Check whose database this is, or write it down; a new one starts with sending held.

    A sandbox one starts released. Raises: Denied when it belongs to another clock or mode.
    """
    now = clock.now()
    is_new = await db.fetch_value(
        SQL.insert_installation, clock_kind=clock.kind, mode=mode, now=now
    )
    if is_new:
        state = "released" if mode == "sandbox" else "held"
        await repository.write_switch(db, SENDING, state, "leadflood", "a new database", now)
        return
    row = await _require_installation(db)
    if (row["clock_kind"], row["mode"]) != (clock.kind, mode):
        raise Denied(
            f"this database belongs to {row['mode']} mode on the {row['clock_kind']} clock; "
            f"start with the same, or use another database",
            code="engine.installation.foreign",
        )


async def take_restore(tx: Reader) -> datetime | None:
    """Return when a restore was noticed after which nobody has released yet; None: there is none.

    Who takes it answers for what was due before: it is not told again.
    """
    noticed_at: datetime | None = await tx.fetch_value(SQL.take_restore)
    return noticed_at


class Guard:
    """A process's guard. `folder` holds its witnesses; None: it has its memory only.

    `outside` holds them too, where that whole folder may be put back.
    `clock_ahead_seconds` is how far our clock was ahead of the database's at the last look.
    """

    def __init__(
        self,
        clock: Clock,
        settings: Settings,
        folder: Path | None = None,
        outside: Path | None = None,
    ) -> None:
        self._clock = clock
        self.settings = settings
        self._file = None if folder is None else WitnessFile(folder)
        self._outside = None if outside is None else WitnessFile(outside)
        self._witness: Witness | None = None
        self._looked_at: float | None = None
        self.clock_ahead_seconds = 0.0

    async def look(self, session: Reader, era: int | None = None) -> int:
        """Look once; return the era of this database, which a restore has raised.

        `era` is that of the node that looks; None: it only starts. A node is told by another era
        that its claims are void. Raises: ClockWrong at a start.
        """
        row = await self.compare_clocks(session)
        if row is None:
            raise Denied(INSTALLATION_GONE)
        if era is None and (trouble := self.clock_trouble()):
            raise ClockWrong(f"{trouble}: set the wrong one right (NTP), then start again")
        witness = await self._find_witness(row)
        if reason := _why_another(row, witness):
            return await self._adopt(session, row, witness, reason)
        await self._hold_after_silence(session, row)
        return int(row["era"])

    async def compare_clocks(self, session: Reader) -> Row | None:
        """Compare our clock with the database's; return the installation, None: it is new."""
        started_at = REAL_TIME.monotonic()
        row = await repository.find_installation(session)
        if row is not None and self._clock.kind == "system":
            self._note_clock(row["database_now"], REAL_TIME.monotonic() - started_at)
        return row

    async def beat(self, session: Reader, node_id: int) -> bool:
        """Raise the node's counter and the installation's; False when the node was evicted."""
        row = await session.fetch_one(SQL.raise_heartbeat, id=node_id)
        if row is None:
            return False
        self._witness = Witness(
            installation_id=row["installation_id"],
            era=row["era"],
            beat=row["installation_beat"],
            system_identifier=row["system_identifier"],
            timeline=row["timeline"],
            wal_bytes=row["wal_bytes"],
            newest_event=_place(row, "newest"),
        )
        if self._file is not None:
            await asyncio.to_thread(self._file.write, self._witness)
        self._looked_at = REAL_TIME.monotonic()
        return True

    async def keep_outside(self) -> None:
        """Write the last witness outside of the data folder too, for ever.

        Apart from the beat: a disk that hangs, such as one behind a network, stops no node.
        """
        written = None
        while self._outside is not None:
            witness = self._witness
            if witness is not None and witness is not written:
                await asyncio.to_thread(self._outside.write, witness)
                written = witness
            await REAL_TIME.sleep(self.settings.beat_seconds)

    async def find_obstacle(self, tx: Reader, era: int) -> str | None:
        """Return why nothing may be sent in this transaction; None: nothing stands against it."""
        if trouble := self.clock_trouble():
            return trouble
        if self._is_look_old():
            return "the last look at the database is older than a beat"
        row = await _require_installation(tx)
        if row["era"] != era or not _is_as_written(row):
            return "the database was restored or failed over: the node starts again"
        return None

    def clock_trouble(self) -> str:
        """Return what is wrong with the clocks; empty when they agree."""
        ahead = self.clock_ahead_seconds
        if abs(ahead) <= self.settings.clock_apart_seconds:
            return ""
        direction = "ahead of" if ahead > 0 else "behind"
        return f"this machine's clock is {abs(ahead):.1f} s {direction} the database's"

    async def agree_on_now(self, session: Reader) -> datetime | None:
        """Return the instant by whichever clock is behind; None while they are too far apart.

        What is past its retention by it is so by both: it may be deleted.
        """
        row = await self.compare_clocks(session)
        if self.clock_trouble():
            return None
        now = self._clock.now()
        return now if row is None or self._clock.kind == "manual" else min(now, row["database_now"])

    def _is_look_old(self) -> bool:
        if self._looked_at is None:
            return True
        age_seconds = REAL_TIME.monotonic() - self._looked_at
        return age_seconds > LOOK_BEATS * self.settings.beat_seconds

    def _note_clock(self, database_now: datetime, took_seconds: float) -> None:
        """Note how far we are ahead; what the question itself took tells nothing."""
        ahead = (self._clock.now() - database_now).total_seconds() - took_seconds / 2
        had_trouble = self.clock_trouble()
        self.clock_ahead_seconds = ahead if abs(ahead) > took_seconds else 0.0
        if (trouble := self.clock_trouble()) and not had_trouble:
            log.error("engine.clock.wrong", ahead_seconds=round(ahead, 1), reason=trouble)

    async def _find_witness(self, row: Row) -> Witness | None:
        if self._witness is None:
            files = [file for file in (self._file, self._outside) if file is not None]
            witnesses = [await asyncio.to_thread(file.read, row["id"]) for file in files]
            self._witness = max(filter(None, witnesses), key=_place_in_time, default=None)
        if self._witness is not None and self._witness.installation_id != row["id"]:
            self._witness = None  # another database altogether
        return self._witness

    async def _adopt(self, session: Reader, row: Row, witness: Witness | None, reason: str) -> int:
        """Hold sending and raise the era, once among all nodes that see it."""
        reason = f"this database {reason}; look before you release sending"
        await repository.write_switch(session, SENDING, "held", "guard", reason, self._clock.now())
        era = await session.fetch_value(
            SQL.adopt_installation,
            seen_era=row["era"],
            era=max(row["era"], witness.era if witness is not None else 0) + 1,
        )
        self._witness = None
        log.warning("engine.database.restored", era=era, reason=reason)
        return int(era if era is not None else await session.fetch_value(SQL.find_era))

    async def _hold_after_silence(self, session: Reader, row: Row) -> None:
        """Hold sending when every node was silent for too long, by the database's clock."""
        if row["last_beat_at"] is None:
            return
        silent_seconds = (row["database_now"] - row["last_beat_at"]).total_seconds()
        if silent_seconds > self.settings.held_after_seconds:
            reason = f"no node was alive for {_spell(silent_seconds)}; look before you release"
            now = self._clock.now()
            await repository.write_switch(session, SENDING, "held", "guard", reason, now)
            log.warning("engine.sending.held", silent_seconds=int(silent_seconds))


async def _require_installation(db: Reader) -> Row:
    row = await repository.find_installation(db)
    if row is None:
        raise Denied(INSTALLATION_GONE)
    return row


def _why_another(row: Row, witness: Witness | None) -> str:
    """Return what shows that this is not the history we knew; empty when it is."""
    if not _is_as_written(row):
        return "was restored, copied or failed over"
    if witness is None or row["era"] > witness.era:  # another node has seen it already
        return ""
    newest = max(_place(row, "newest"), _place(row, "pruned"))
    is_same_wal = (row["system_identifier"], row["timeline"]) == (
        witness.system_identifier,
        witness.timeline,
    )
    is_behind = (
        row["era"] < witness.era
        or row["beat"] < witness.beat
        or (is_same_wal and row["wal_bytes"] < witness.wal_bytes)
        or newest < witness.newest_event
    )
    return "was turned back to an older copy" if is_behind else ""


def _place_in_time(witness: Witness) -> tuple[int, int]:
    return witness.era, witness.beat


def _spell(seconds: float) -> str:
    """Return a time as people say it."""
    if seconds < 100:  # noqa: PLR2004 - two digits
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6_000 else f"{seconds / 3600:.1f} h"  # noqa: PLR2004


def _is_as_written(row: Row) -> bool:
    stored = (row["system_identifier"], row["timeline"], row["database_oid"])
    present = (row["system_identifier_now"], row["timeline_now"], row["database_oid_now"])
    return stored == present


def _place(row: Row, which: str) -> EventPlace:
    return EventPlace(row[f"{which}_era"], int(row[f"{which}_xid"]), row[f"{which}_id"])
