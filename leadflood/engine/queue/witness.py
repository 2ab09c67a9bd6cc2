"""Witnesses: what a process has seen of a database, kept outside it.

A database that is behind its witness was turned back: a file copy of the cluster keeps its
identifier, its timeline and its oid.
"""

import os
import socket
from pathlib import Path
from uuid import UUID

import msgspec

from leadflood.engine.obs.log import log
from leadflood.engine.synced_files import sync_folder, write_synced


class EventPlace(msgspec.Struct, frozen=True, order=True):
    """A place in the event log; the default is before every event."""

    era: int = 0
    xid: int = 0
    id: UUID = UUID(int=0)


class Witness(msgspec.Struct, frozen=True):
    """What stood in a database after a beat was committed.

    `beat` counts the beats of all its nodes, `wal_bytes` is the position in its log of writes,
    which tells only within one `system_identifier` and `timeline`.
    """

    installation_id: UUID
    era: int
    beat: int
    system_identifier: str
    timeline: int
    wal_bytes: int
    newest_event: EventPlace


class WitnessFile:
    """A file for each database in a folder, whole and on the disk once it is written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, installation_id: UUID) -> Witness | None:
        """Return what was seen of a database; None: nothing that can be read."""
        path = self._path(installation_id)
        try:
            return msgspec.json.decode(path.read_bytes(), type=Witness)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            log.warning("engine.witness.unreadable", path=str(path), error=str(error))
            return None

    def write(self, witness: Witness) -> None:
        """Replace it; a disk that takes nothing leaves the older one, which is true too."""
        path = self._path(witness.installation_id)
        aside = path.with_suffix(f".{socket.gethostname()}.{os.getpid()}.new")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            aside.unlink(missing_ok=True)  # of a process that had this number and was killed
            write_synced(aside, msgspec.json.encode(witness), 0o644)
            aside.replace(path)
            sync_folder(self._folder)
        except OSError as error:
            log.warning("engine.witness.unwritten", path=str(path), error=str(error))

    def _path(self, installation_id: UUID) -> Path:
        return self._folder / f"{installation_id}.witness"
