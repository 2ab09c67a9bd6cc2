"""Disk: the room left beside the embedded server, and what happens when it grows short.

A server whose disk fills while it writes its log ends, and cannot start again until somebody makes
room. So little room stops what grows first, then all work, and a reserve is kept to start it with.
"""

import errno
import os
import shutil
from enum import StrEnum
from pathlib import Path

import msgspec
import structlog
from anyio import to_thread

from leadflood.engine.clock import REAL_TIME
from leadflood.engine.errors import Transient, causes_of

log = structlog.get_logger(__name__)

DISK_FULL = "53100"
"""SQLSTATE of the server."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much room is wanted on the disk of the embedded server.

    Below `low_bytes` there are no new runs, imports and exports; below `stop_bytes` nothing is
    worked on or sent, and reads go on. `reserve_bytes` are given up to start the server again.
    """

    low_bytes: int = 1_000_000_000
    stop_bytes: int = 250_000_000
    reserve_bytes: int = 48_000_000
    look_seconds: float = 2.0


class DiskLevel(StrEnum):
    """How much room there is."""

    ROOM = "room"
    LOW = "low"
    STOP = "stop"


class DiskLow(Transient):
    """The disk has too little room for what would fill it further."""

    code = "engine.disk.low"


class DiskWatch:
    """Watches the disk of a data folder; None: the database is not on a disk of ours."""

    def __init__(self, folder: Path | None, settings: Settings) -> None:
        self._folder = folder
        self._settings = settings
        self.level = DiskLevel.ROOM
        self.free_bytes: int | None = None

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await self.look()
            await REAL_TIME.sleep(self._settings.look_seconds)

    async def look(self) -> DiskLevel:
        """Look once; where there is room, keep the reserve."""
        if self._folder is None:
            return self.level
        self.free_bytes = await to_thread.run_sync(_free_bytes, self._folder)
        level = self._level_of(self.free_bytes)
        if level is not self.level:
            self.level = level
            log.warning("engine.disk.changed", level=level.value, free_bytes=self.free_bytes)
        if level is DiskLevel.ROOM:
            await to_thread.run_sync(keep_reserve, self._folder, self._settings.reserve_bytes)
        return level

    def require_room(self) -> None:
        """Refuse what would fill the disk further. Raises: DiskLow."""
        if trouble := self.trouble():
            raise DiskLow(f"{trouble}: make room on it, or move LEADFLOOD_DATA to a larger one", 60)

    def stop_reason(self) -> str:
        """Return why nothing may be worked on; empty when it may."""
        return self.trouble() if self.level is DiskLevel.STOP else ""

    def trouble(self) -> str:
        """Return what is wrong with the disk; empty when there is room."""
        if self.level is DiskLevel.ROOM or self.free_bytes is None:
            return ""
        return f"the disk of the data folder has {self.free_bytes // 1_000_000} MB left"

    def _level_of(self, free_bytes: int) -> DiskLevel:
        if free_bytes < self._settings.stop_bytes:
            return DiskLevel.STOP
        return DiskLevel.LOW if free_bytes < self._settings.low_bytes else DiskLevel.ROOM


def is_full(error: BaseException) -> bool:
    """Whether an error, or what it came from, is that a disk is full: nobody is at fault."""
    return any(
        (isinstance(cause, OSError) and cause.errno == errno.ENOSPC)
        or getattr(cause, "sqlstate", None) == DISK_FULL
        for cause in causes_of(error)
    )


def keep_reserve(folder: Path, size: int) -> None:
    """Keep a file whose room can be given up."""
    path = _reserve(folder)
    if size <= 0 or (path.exists() and path.stat().st_size >= size):
        return
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        log.warning("engine.disk.no_reserve", path=str(path), error=str(error))
    finally:
        os.close(descriptor)


def give_up_reserve(folder: Path) -> bool:
    """Make its room free; False when there is no reserve any more."""
    try:
        _reserve(folder).unlink()
    except FileNotFoundError:
        return False
    return True


def _reserve(folder: Path) -> Path:
    return folder / "reserve"


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free
