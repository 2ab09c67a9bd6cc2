"""The user of the embedded server: PostgreSQL refuses root, so root hands it to another user."""

import os
import pwd
import shutil
import stat
from pathlib import Path
from typing import Any

import msgspec

from leadflood.engine.db.errors import DatabaseRefused

# Source: capabilities(7): CAP_DAC_READ_SEARCH is number 2
READING = "+dac_read_search"
READING_BIT = 1 << 2
CAPABILITY_SETS = ("CapPrm:", "CapBnd:")
CANDIDATES = ("postgres", "nobody")


class ServerUser(msgspec.Struct, frozen=True):
    """A user of the machine.

    `reads_all`: its processes may enter and read what root may (a checkout in root's home, say),
    but write only what is the user's.
    """

    name: str
    uid: int
    gid: int
    reads_all: bool = False

    def popen_arguments(self) -> dict[str, Any]:
        """Switch a subprocess to this user and no other group."""
        if self.reads_all:
            return {}  # `words_before` does it
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def words_before(self) -> list[str]:
        """Return the words before a command of this user."""
        if not self.reads_all:
            return []
        return [
            *(str(shutil.which("setpriv")), f"--reuid={self.uid}", f"--regid={self.gid}"),
            *("--clear-groups", f"--inh-caps={READING}", f"--ambient-caps={READING}", "--"),
        ]


def choose_server_user(folder: Path) -> ServerUser | None:
    """Create the server's folder and choose its owner; None when that is this process's user.

    Only this folder changes hands; no other folder's owner or permissions are touched.
    """
    is_root = os.geteuid() == 0
    if not folder.exists():
        folder.mkdir(mode=0o700)
        if is_root:
            user = _first_candidate()
            os.chown(folder, user.uid, user.gid)
    owner = folder.stat().st_uid
    if not is_root:
        if owner != os.geteuid():
            raise DatabaseRefused(
                f"the database in {folder} belongs to user {_name_of(owner)!r}, not to you: run"
                " leadflood as that user or as root, or set LEADFLOOD_DATA to another folder",
                code="database.owner",
            )
        return None
    if owner == 0:  # made by a root that was killed before it gave the folder away
        user = _first_candidate()
        os.chown(folder, user.uid, user.gid)
        return user
    return ServerUser(_name_of(owner), owner, folder.stat().st_gid)


def may_lend_reading() -> bool:
    """Whether this system lets root give a process the right to read, and no other."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return False
    sets = [line.split()[1] for line in status.splitlines() if line.startswith(CAPABILITY_SETS)]
    has_right = bool(sets) and all(int(bits, 16) & READING_BIT for bits in sets)
    return has_right and shutil.which("setpriv") is not None


def first_closed_folder(path: Path, user: ServerUser) -> Path | None:
    """Find the outermost folder on the way to a path that a user may not enter."""
    for folder in reversed(path.resolve().parents):
        try:
            status_of_folder = folder.stat()
        except FileNotFoundError:
            return None
        if not _may_enter(status_of_folder, user):
            return folder
    return None


def _may_enter(status_of_folder: os.stat_result, user: ServerUser) -> bool:
    if status_of_folder.st_uid == user.uid:
        return bool(status_of_folder.st_mode & stat.S_IXUSR)
    if status_of_folder.st_gid == user.gid:
        return bool(status_of_folder.st_mode & stat.S_IXGRP)
    return bool(status_of_folder.st_mode & stat.S_IXOTH)


def _first_candidate() -> ServerUser:
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return ServerUser(name, entry.pw_uid, entry.pw_gid)
    raise DatabaseRefused(
        f"you are root and the machine has none of the users {', '.join(CANDIDATES)} for the"
        " database server to run as: run leadflood as an ordinary user",
        code="database.no_user",
    )


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
