"""Locks on files between processes: the kernel drops them however their holder dies."""

import fcntl
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from leadflood.engine.clock import Clock
from leadflood.engine.db.errors import DatabaseRefused
from leadflood.engine.open_files import FilesExhausted, is_exhausted

POLL_SECONDS = 0.05


class FileLock:
    """An open lock file; each object counts as its own holder, even inside one process.

    Who takes a lock again later keeps it open: a free descriptor may be wanting then.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        # not inherited: a server started while the file is open must not keep the lock alive
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            if is_exhausted(error):
                raise FilesExhausted(f"cannot open {path}: {error.strerror}") from error
            raise DatabaseRefused(
                f"cannot open {path} ({error.strerror}): run leadflood as the owner of that folder,"
                " or set LEADFLOOD_DATA to another",
                code="database.folder",
            ) from error

    def try_shared(self) -> bool:
        """Take or keep a shared hold; False when somebody holds it alone."""
        return self._try(fcntl.LOCK_SH)

    def try_alone(self) -> bool:
        """Take the lock alone; False when anybody else holds it, and a shared hold may be lost."""
        return self._try(fcntl.LOCK_EX)

    def _try(self, kind: int) -> bool:
        try:
            fcntl.flock(self._descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def is_in_place(self) -> bool:
        """Whether the path still names this file: its last holder may have removed it."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), self._path.stat())
        except FileNotFoundError:
            return False

    def remove(self) -> None:
        """Remove the file, held alone, and release the lock."""
        self._path.unlink(missing_ok=True)
        self.close()

    def release(self) -> None:
        """Release the lock; the file stays open."""
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Release the lock for good."""
        os.close(self._descriptor)


@asynccontextmanager
async def held_alone(
    lock: FileLock, clock: Clock, waiting: Callable[[], None] | None = None
) -> AsyncIterator[None]:
    """Hold a lock alone, waiting for as long as others hold it.

    Waits: in real time, so hand it the system's clock; cancelling leaves nothing behind.
    """
    while not lock.try_alone():
        if waiting is not None:
            waiting()
        await clock.sleep(POLL_SECONDS)
    try:
        yield
    finally:
        lock.release()
