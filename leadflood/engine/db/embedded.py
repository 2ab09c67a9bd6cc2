"""The embedded server: found running, or started, and stopped by its last user.

Every process that uses a data folder holds `users.lock` shared; whoever can take it alone on
leaving stops the server. Coming and going happen under `start.lock`, so two commands never race.
"Running" means that a connection answers: a process number proves nothing after a kill -9.
"""

import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from enum import Enum, auto
from pathlib import Path
from urllib.parse import quote

import anyio
import asyncpg
from anyio import to_thread

from leadflood.engine.clock import Clock
from leadflood.engine.db.errors import DatabaseRefused, DiskFull, NoDatabase
from leadflood.engine.db.filelock import POLL_SECONDS, FileLock, held_alone
from leadflood.engine.db.pool import Settings, own_connection
from leadflood.engine.db.postgres_process import (
    PORT,
    SUPERUSER,
    PostgresProcess,
    Postmaster,
    make_data_folder,
)
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Tx
from leadflood.engine.disk import give_up_reserve
from leadflood.engine.open_files import is_exhausted

SQL = load_queries(__file__)
DATABASE = "leadflood"
PROBE_TIMEOUT_SECONDS = 5.0
FIRST_REPORT_SECONDS = 1.0
REPORT_EVERY_SECONDS = 5.0
LAUNCHES_MOST = 5
OLD_PROCESSES_WAIT_SECONDS = 90.0
LEAVE_SECONDS = 10.0
FAST_STOP_SECONDS = 60.0
WATCH_SECONDS = 1.0
REFUSED_SECONDS = 30.0
"""For so long a live server that is not in recovery may refuse a starting process."""
NO_SPACE = "No space left on device"
OLD_PROCESSES = "pre-existing shared memory block"
_NO_ANSWERS = (asyncpg.PostgresConnectionError, asyncpg.InsufficientResourcesError)

Report = Callable[[str], None]


class _Answer(Enum):
    READY = auto()
    STARTING = auto()
    NOTHING = auto()


class EmbeddedServer:
    """A server in use. Made by `embedded_postgres`."""

    def __init__(
        self, process: PostgresProcess, starting: FileLock, clock: Clock, report: Report | None
    ) -> None:
        self._process = process
        self._starting = starting
        self._starting_here = anyio.Lock()
        self._clock = clock
        self._report = report or (lambda _: None)
        self._socket_folder = Path()
        self._reported_at = clock.monotonic()
        self._refusal = "no answer yet"

    @property
    def data_folder(self) -> Path:
        """Return where it lives."""
        return self._process.data_folder

    @property
    def url(self) -> str:
        """Return how to connect, for asyncpg."""
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        """Return how to connect to another database of this server."""
        return (
            f"postgresql://{SUPERUSER}:{SUPERUSER}@/{quote(database, safe='')}"
            f"?host={quote(str(self._socket_folder))}&port={PORT}"
        )

    async def make_empty(self) -> None:
        """Throw leadflood's database away and make it anew: for a demo that begins with nothing."""
        async with own_connection(Settings(url=self.url_of("postgres"))) as connection:
            await Tx(connection).execute(SQL.drop_database)
            await _make_database(Tx(connection))

    async def ensure_running(self) -> None:
        """Bring the server up if it is not; harmless when it is.

        Waits: for as long as recovery takes, in real time.
        Raises: DatabaseRefused when it cannot start; the text holds what its log says. OSError when
        this process may open no more files: then nothing is known about the server.
        """
        if await self._probe() is _Answer.READY:
            return
        async with (
            self._starting_here,  # the file's lock is one holder for all of this process
            held_alone(self._starting, self._clock, self._tell_of_lock),
        ):
            if not await to_thread.run_sync(self._process.files.exists):
                self._report(f"making a new database in {self._process.folder}")
            await to_thread.run_sync(self._process.prepare)
            await self._bring_up()

    async def watch(self) -> None:
        """Bring the server up again whenever its process is gone; runs until cancelled."""
        while True:
            await self._clock.sleep(WATCH_SECONDS)
            if await self._find_postmaster() is None:
                self._report("the database server is gone; starting it again")
                try:
                    await self.ensure_running()
                except DiskFull as error:
                    self._report(error.detail)
                    await self._clock.sleep(REPORT_EVERY_SECONDS)

    async def _bring_up(self) -> None:
        started_at = self._clock.monotonic()
        self._reported_at = started_at - REPORT_EVERY_SECONDS + FIRST_REPORT_SECONDS
        refused_at = started_at
        launches = 0
        while (answer := await self._probe()) is not _Answer.READY:
            now = self._clock.monotonic()
            self._tell(
                f"the database server is starting or recovering ({now - started_at:.0f} s;"
                f" last answer: {self._refusal})"
            )
            if answer is _Answer.STARTING:
                refused_at = now
            elif await self._is_alive():
                self._judge_refusal(now - refused_at)
            else:
                if launches:
                    await self._judge_failed_start(launches, now - started_at)
                launches += 1
                refused_at = now
                await to_thread.run_sync(self._process.launch)
            await self._clock.sleep(POLL_SECONDS)

    def _judge_refusal(self, seconds: float) -> None:
        """Give up on a server that lives, is not in recovery and lets nobody in."""
        if seconds > REFUSED_SECONDS:
            raise DatabaseRefused(
                f"the database server in {self._process.folder} lives and has let nobody in for"
                f" {seconds:.0f} s; its last answer: {self._refusal}; stop it (kill -INT and the"
                f" number in {self._process.files / 'postmaster.pid'}) and start again",
                code="database.unreachable",
            )

    async def _is_alive(self) -> bool:
        return self._process.has_launched() or await self._find_postmaster() is not None

    async def _judge_failed_start(self, launches: int, waited_seconds: float) -> None:
        """Retry a server that ended while starting, or give up with its own words."""
        if NO_SPACE in await to_thread.run_sync(self._process.read_log):
            await self._make_room()
            return
        code = self._process.exit_code()
        if code is not None and code <= 0 and launches < LAUNCHES_MOST:  # stopped or killed
            return
        log = await to_thread.run_sync(self._process.read_log)
        # processes of a killed server may still be finishing; they end by themselves
        if OLD_PROCESSES in log and waited_seconds < OLD_PROCESSES_WAIT_SECONDS:
            return
        tail = "\n".join(log.strip().splitlines()[-8:])
        raise DatabaseRefused(
            f"the database server does not start; {self._process.log} ends with:\n{tail}",
            code="database.start",
        )

    async def _make_room(self) -> None:
        """Give the reserve up for a server that a full disk keeps from work. Raises: DiskFull."""
        if not await to_thread.run_sync(give_up_reserve, self.data_folder):
            raise DiskFull(
                f"the disk of {self._process.folder} is full and the database server cannot"
                " work: make room on it; nothing is lost"
            )
        self._report("the disk is full: the reserve is given up for the database server")

    async def _find_postmaster(self) -> Postmaster | None:
        return await to_thread.run_sync(self._process.find_postmaster)

    async def _probe(self) -> _Answer:
        folder = await to_thread.run_sync(self._process.read_socket_folder)
        if folder is None:
            self._refusal = "it has not written where it listens"
            return _Answer.NOTHING
        self._socket_folder = folder
        try:
            connection = await asyncpg.connect(
                self.url_of("postgres"), timeout=PROBE_TIMEOUT_SECONDS
            )
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            if is_exhausted(error):
                raise
            self._refusal = _describe(error)  # a TimeoutError is an OSError
            return await self._judge_answer(error)
        try:
            await _make_database(Tx(connection))
        finally:
            await connection.close(timeout=PROBE_TIMEOUT_SECONDS)
        return _Answer.READY

    async def _judge_answer(self, error: Exception) -> _Answer:
        """Return what a refused connection says. Raises: DiskFull, DatabaseRefused."""
        match error:
            case asyncpg.TooManyConnectionsError():
                return _Answer.READY
            case asyncpg.OperatorInterventionError():
                return _Answer.STARTING  # or stopping
            case asyncpg.DiskFullError():  # not even the server's own files for a connection fit
                await self._make_room()
                return _Answer.STARTING
            case asyncpg.PostgresError() if not isinstance(error, _NO_ANSWERS):
                raise DatabaseRefused(
                    f"the database server in {self._process.folder} runs but lets nobody in"
                    f" ({error}): undo what was changed in its pg_hba.conf or roles",
                    code="database.closed",
                ) from error
            case _:
                return _Answer.NOTHING

    def _tell_of_lock(self) -> None:
        self._tell("another command is starting or stopping the database server; waiting for it")

    def _tell(self, text: str) -> None:
        now = self._clock.monotonic()
        if now - self._reported_at >= REPORT_EVERY_SECONDS:
            self._reported_at = now
            self._report(text)

    async def leave(self, users: FileLock) -> None:
        """Stop the server if nobody else uses it; else leave it to them."""
        try:
            if await self._take_for_leaving() and users.try_alone():
                await self._stop()
        finally:
            self._process.let_go()
            users.close()
            self._starting.close()

    async def _take_for_leaving(self) -> bool:
        """Wait for others who come or go; who holds it long is starting and will stop it."""
        with anyio.move_on_after(LEAVE_SECONDS):
            while not self._starting.try_alone():
                await self._clock.sleep(POLL_SECONDS)
            return True
        return False

    async def _stop(self) -> None:
        """Ask for a fast shutdown; insist after a minute (the next start then recovers)."""
        postmaster = await self._find_postmaster()
        if postmaster is None:
            return
        for number in (signal.SIGINT, signal.SIGQUIT):
            await to_thread.run_sync(self._process.signal, number)
            with anyio.move_on_after(FAST_STOP_SECONDS):
                while await self._find_postmaster() is not None:
                    await self._clock.sleep(POLL_SECONDS)
                break
        await to_thread.run_sync(self._process.remove_short_folder, postmaster.socket_folder)


@asynccontextmanager
async def embedded_postgres(
    data_folder: Path,
    clock: Clock,
    report: Report | None = None,
    *,
    durable: bool = True,
    creates: bool = True,
) -> AsyncIterator[EmbeddedServer]:
    """Use the server of a data folder: find it running or start it; its last user stops it.

    `durable=False` is for tests: no fsync. `creates=False` refuses a folder without a database.
    Waits: in real time, so hand it the system's clock; cancelling while it starts leaves the server
    to the next user.
    Raises: DatabaseRefused, saying what to do.
    """
    process = PostgresProcess(data_folder, durable=durable)
    if not creates and not await to_thread.run_sync(process.files.exists):
        raise NoDatabase(
            f"There is no database in {data_folder}. Set LEADFLOOD_DATA to the folder that holds"
            " yours, or change to the folder above it; `leadflood serve` makes a new one."
        )
    await to_thread.run_sync(make_data_folder, process.data_folder)
    users = await to_thread.run_sync(FileLock, process.data_folder / "users.lock")
    starting = await to_thread.run_sync(FileLock, process.data_folder / "start.lock")
    server = EmbeddedServer(process, starting, clock, report)
    try:
        async with held_alone(starting, clock):
            _join(process.data_folder, users)
        await server.ensure_running()
        yield server
    finally:
        with anyio.CancelScope(shield=True):
            await server.leave(users)


def _join(data_folder: Path, users: FileLock) -> None:
    """Become a user; only a leaver holds the lock alone, and only under `start.lock`."""
    if not users.try_shared():
        raise DatabaseRefused(
            f"{data_folder / 'users.lock'} is held by something that is not leadflood: end it",
            code="database.users_lock",
        )


def _describe(error: BaseException) -> str:
    """Return an error in a line."""
    return f"{type(error).__name__}: {error}".removesuffix(": ")


async def _make_database(session: Tx) -> None:
    if await session.fetch_value(SQL.find_database) is None:
        with suppress(asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
            await session.execute(SQL.create_database)
