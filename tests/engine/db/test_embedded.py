import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import anyio
import asyncpg
import pytest
from leadflood.engine.clock import SystemClock
from leadflood.engine.db import embedded
from leadflood.engine.db.embedded import embedded_postgres
from leadflood.engine.db.errors import DatabaseRefused, DiskFull
from leadflood.engine.db.postgres_process import PostgresProcess
from leadflood.engine.db.server_user import ServerUser, first_closed_folder
from leadflood.engine.disk import give_up_reserve, keep_reserve
from leadflood.engine.open_files import is_exhausted
from tests.support.db import open_folder
from tests.support.open_files import NONE, limited_files
from tests.support.unprivileged import NOBODY, unprivileged

PATIENCE_SECONDS = 30
is_root = os.geteuid() == 0


class User:
    """A process of its own that uses the server of a folder."""

    def __init__(self, data: Path, *options: str, started_by: list[str] | None = None) -> None:
        self.process = subprocess.Popen(  # noqa: S603 -- this interpreter, our module
            [
                *(started_by or ()),
                sys.executable,
                "-m",
                "tests.support.use_embedded",
                str(data),
                *options,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._guard = threading.Timer(PATIENCE_SECONDS, self.process.kill)
        self._guard.start()

    def url(self) -> str:
        """Wait until it is connected."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        assert line.startswith("postgresql://"), self.process.communicate()[1]
        return line

    def leave(self) -> tuple[int, str]:
        """Let it end as it should."""
        talk = self.process.communicate()[1]
        self._guard.cancel()
        return self.process.returncode, talk

    def kill(self) -> None:
        """End it as a crash does."""
        self.process.kill()
        self.leave()


@pytest.fixture
def empty() -> Iterator[Path]:
    """A data folder to be made; whatever server still runs in it at the end is killed."""
    folder = open_folder()
    yield folder / "data"
    kill_server(folder / "data")
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def template() -> Iterator[Path]:
    """A data folder whose server has stopped, to copy from."""
    folder = open_folder()
    with using(folder / "data"):
        pass
    yield folder / "data"
    shutil.rmtree(folder)


@pytest.fixture
def data(template: Path, empty: Path) -> Path:
    """A data folder with database files in it."""
    return copy_of(template, empty)


def copy_of(template: Path, target: Path) -> Path:
    """Copy a stopped server's folder, owners included; faster than to make one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["/bin/cp", "-a", str(template), str(target)], check=True)  # noqa: S603 -- our paths
    return target


@contextmanager
def using(data: Path, *options: str) -> Iterator[User]:
    user = User(data, *options)
    try:
        user.url()
        yield user
    finally:
        user.leave()


def pid_of(data: Path) -> int | None:
    """Return the process of the live server."""
    postmaster = PostgresProcess(data, durable=False).find_postmaster()
    return postmaster.pid if postmaster is not None else None


def kill_server(data: Path) -> None:
    pid = pid_of(data)
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        wait_until_gone(pid)


def wait_until_gone(pid: int) -> None:
    has_ended = threading.Event()
    for _ in range(PATIENCE_SECONDS * 50):
        stat = Path(f"/proc/{pid}/stat")
        try:
            if stat.read_text().rpartition(")")[2].split()[0] == "Z":
                return
        except OSError:
            return
        has_ended.wait(0.02)
    pytest.fail(f"process {pid} does not end")


async def query(url: str, text: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(text)
    finally:
        await connection.close()


def ask(url: str, text: str = "SELECT 1") -> object:
    return anyio.run(query, url, text)


def test_the_last_of_two_users_stops_the_server(data: Path) -> None:
    first = User(data)
    url = first.url()
    second = User(data)
    assert second.url() == url

    assert first.leave()[0] == 0
    assert ask(url) == 1
    pid = pid_of(data)
    assert second.leave()[0] == 0

    assert pid is not None
    assert pid_of(data) is None
    assert not (data / "postgres/cluster/postmaster.pid").exists()


def test_users_that_start_at_once_share_one_server(empty: Path) -> None:
    users = [User(empty) for _ in range(4)]

    urls = {user.url() for user in users}
    started = (empty / "postgres/server.log").read_text().count("starting PostgreSQL")
    codes = [user.leave()[0] for user in users]

    assert len(urls) == 1
    assert started == 1
    assert codes == [0, 0, 0, 0]
    assert pid_of(empty) is None


def test_a_server_that_outlived_its_killed_user_is_used_again(data: Path) -> None:
    first = User(data)
    url = first.url()
    ask(url, "CREATE TABLE kept ()")
    orphan = pid_of(data)
    first.kill()

    second = User(data)
    url = second.url()

    assert pid_of(data) == orphan
    assert ask(url, "SELECT count(*) FROM kept") == 0
    assert second.leave()[0] == 0
    assert pid_of(data) is None


def test_after_everything_was_killed_the_next_start_recovers(data: Path) -> None:
    first = User(data)
    ask(first.url(), "CREATE TABLE kept ()")
    first.kill()
    kill_server(data)

    with using(data) as second:
        url = f"postgresql://leadflood@/leadflood?host={data}/postgres/socket"

        assert ask(url, "SELECT count(*) FROM kept") == 0
    assert second.process.returncode == 0


def test_a_stale_pid_file_whose_number_another_process_has_is_removed(data: Path) -> None:
    pid_file = data / "postgres/cluster/postmaster.pid"
    lines = [str(os.getpid()), str(pid_file.parent), "1", "5432", f"{data}/postgres/socket", "*"]
    pid_file.write_text("\n".join(lines))
    lock_file = data / "postgres/socket/.s.PGSQL.5432.lock"
    lock_file.write_text("\n".join(lines))
    assert pid_of(data) is None

    with using(data):
        url = f"postgresql://leadflood@/leadflood?host={data}/postgres/socket"
        assert ask(url) == 1
        assert pid_of(data) not in {None, os.getpid()}


def test_an_empty_pid_file_does_not_stop_the_start(data: Path) -> None:
    (data / "postgres/cluster/postmaster.pid").write_text("")

    with using(data):
        assert pid_of(data) is not None


def test_database_files_cut_short_while_they_were_made_are_made_again(empty: Path) -> None:
    unfinished = empty / "postgres/cluster.unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")

    with using(empty):
        assert pid_of(empty) is not None
    assert not unfinished.exists()


async def test_a_killed_server_comes_back_while_its_user_lives(data: Path) -> None:
    messages: list[str] = []

    async with embedded_postgres(data, SystemClock(), messages.append, durable=False) as server:
        pid = await anyio.to_thread.run_sync(pid_of, data)
        await anyio.to_thread.run_sync(kill_server, data)
        await server.ensure_running()
        again = await anyio.to_thread.run_sync(pid_of, data)
        answer = await query(server.url, "SELECT 1")

    assert again not in {None, pid}
    assert answer == 1


async def test_the_watch_brings_a_killed_server_back(data: Path) -> None:
    revived = anyio.Event()

    def report(text: str) -> None:
        if "starting it again" in text:
            revived.set()

    async with (
        embedded_postgres(data, SystemClock(), report, durable=False) as server,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(server.watch)
        await anyio.to_thread.run_sync(kill_server, data)
        with anyio.fail_after(PATIENCE_SECONDS):
            await revived.wait()
        await server.ensure_running()

        assert await query(server.url, "SELECT 1") == 1
        tasks.cancel_scope.cancel()


async def test_a_server_is_not_taken_for_gone_by_a_process_that_can_open_nothing(
    data: Path,
) -> None:
    messages: list[str] = []
    async with (
        embedded_postgres(data, SystemClock(), messages.append, durable=False) as server,
        anyio.create_task_group() as tasks,
    ):
        messages.clear()
        with limited_files(NONE):
            for find_out in (server.watch, server.ensure_running):
                with anyio.fail_after(PATIENCE_SECONDS), pytest.raises(OSError) as refused:  # noqa: PT011
                    await find_out()
                assert is_exhausted(refused.value)

        assert not messages
        assert await query(server.url, "SELECT 1") == 1
        tasks.cancel_scope.cancel()


def test_the_servers_own_group_keeps_it_from_ctrl_c(data: Path) -> None:
    with using(data) as user:
        pid = pid_of(data)
        assert pid is not None

        assert os.getpgid(pid) != os.getpgid(user.process.pid)
        assert os.getsid(pid) != os.getsid(user.process.pid)


def test_the_server_listens_on_its_closed_folder_only(data: Path) -> None:
    with using(data):
        url = f"postgresql://leadflood@/leadflood?host={data}/postgres/socket"

        assert ask(url, "SHOW listen_addresses") == ""
        assert (data / "postgres/socket").stat().st_mode & 0o777 == 0o700


def test_a_data_path_too_long_for_a_socket_uses_a_short_folder(template: Path, empty: Path) -> None:
    deep = copy_of(template, empty / ("d" * 60) / ("e" * 60))
    user = User(deep)
    url = user.url()
    folder = Path(url.partition("?host=")[2].partition("&")[0])

    assert folder.parent == Path(tempfile.gettempdir())
    assert folder.stat().st_mode & 0o777 == 0o700
    assert ask(url) == 1
    assert user.leave()[0] == 0
    assert not folder.exists()


def test_a_data_path_with_odd_letters_works(template: Path, empty: Path) -> None:
    user = User(copy_of(template, empty / "my, data ü"))

    assert ask(user.url()) == 1
    assert user.leave()[0] == 0


def test_files_of_another_version_are_refused_with_a_way_out(empty: Path) -> None:
    cluster = empty / "postgres/cluster"
    cluster.mkdir(parents=True)
    (cluster / "PG_VERSION").write_text("9\n")

    code, talk = User(empty).leave()

    assert code == 3
    assert "PostgreSQL 9" in talk
    assert "DATABASE_URL" in talk


def test_a_server_that_cannot_start_says_why(data: Path) -> None:
    (data / "postgres/cluster/postgresql.auto.conf").write_text("shared_buffers = nonsense\n")

    code, talk = User(data).leave()

    assert code == 3
    assert "shared_buffers" in talk


async def test_a_server_on_a_full_disk_is_started_by_the_reserve_and_then_refused_with_a_way_out(
    data: Path,
) -> None:
    """The server's own log says why it does not start; here its configuration makes it say so."""
    await anyio.to_thread.run_sync(keep_reserve, data, 4096)
    configuration = data / "postgres/cluster/postgresql.auto.conf"
    await anyio.to_thread.run_sync(
        configuration.write_text, "shared_buffers = 'No space left on device'\n"
    )
    messages: list[str] = []

    with pytest.raises(DiskFull, match="make room on it"):
        async with embedded_postgres(data, SystemClock(), messages.append, durable=False):
            pass

    assert any("the reserve is given up" in message for message in messages)
    assert not await anyio.to_thread.run_sync(give_up_reserve, data)


@pytest.fixture
async def small_disk() -> AsyncIterator[Path]:
    """A disk that is soon full."""
    if not is_root:
        pytest.skip("only root may mount a small disk")
    folder = open_folder()
    words = ["/bin/mount", "-t", "tmpfs", "-o", "size=160m,mode=755", "tmpfs", str(folder)]
    if (await anyio.run_process(words, check=False)).returncode:
        await anyio.to_thread.run_sync(folder.rmdir)
        pytest.skip("this machine lets nobody mount a small disk")
    try:
        yield folder
    finally:
        await anyio.run_process(["/bin/umount", str(folder)])
        await anyio.to_thread.run_sync(folder.rmdir)


async def test_a_server_whose_disk_is_full_comes_back_by_the_reserve(small_disk: Path) -> None:
    data = small_disk / "data"
    async with embedded_postgres(data, SystemClock(), durable=False) as server:
        await anyio.to_thread.run_sync(keep_reserve, data, 24_000_000)
        await anyio.to_thread.run_sync(fill_disk, small_disk / "filler")
        await anyio.to_thread.run_sync(kill_server, data)

        await server.ensure_running()

        assert await query(server.url, "SELECT 1") == 1
        assert not await anyio.to_thread.run_sync(give_up_reserve, data)


async def test_a_live_server_that_a_full_disk_lets_refuse_everybody_gets_the_reserve(
    small_disk: Path,
) -> None:
    data = small_disk / "data"
    async with embedded_postgres(data, SystemClock(), durable=False) as server:
        await anyio.to_thread.run_sync(keep_reserve, data, 24_000_000)
        await anyio.to_thread.run_sync(fill_without_init_files, data, small_disk / "filler")
        with pytest.raises(asyncpg.DiskFullError):
            await query(server.url_of("postgres"), "SELECT 1")

        await server.ensure_running()

        assert await query(server.url, "SELECT 1") == 1
        assert not await anyio.to_thread.run_sync(give_up_reserve, data)
        await anyio.to_thread.run_sync(fill_without_init_files, data, small_disk / "more")
        with pytest.raises(DiskFull, match="make room on it"):
            await server.ensure_running()


def fill_without_init_files(data: Path, filler: Path) -> None:
    """Fill a disk so that the server cannot write what every new connection begins with."""
    for path in (data / "postgres").rglob("pg_internal.init"):
        path.unlink()
    fill_disk(filler)


def fill_disk(path: Path) -> None:
    """Write until not a byte is left."""
    size = 1 << 20
    with path.open("wb", buffering=0) as file:
        while size:
            try:
                file.write(b"x" * size)
            except OSError:
                size //= 2


async def test_a_live_server_that_lets_nobody_in_is_given_up_with_its_last_answer(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "REFUSED_SECONDS", 0.3)
    monkeypatch.setattr(embedded, "FIRST_REPORT_SECONDS", 0.0)
    messages: list[str] = []

    async with embedded_postgres(data, SystemClock(), messages.append, durable=False) as server:
        socket_file = data / "postgres/socket/.s.PGSQL.5432"
        await anyio.to_thread.run_sync(socket_file.unlink)
        with anyio.fail_after(PATIENCE_SECONDS), pytest.raises(DatabaseRefused) as refusal:
            await server.ensure_running()

    assert refusal.value.error_code == "database.unreachable"
    assert "FileNotFoundError" in str(refusal.value)
    assert any("last answer: FileNotFoundError" in message for message in messages)


@pytest.mark.skipif(not is_root, reason="only root has a user to leave")
def test_as_root_the_server_runs_as_another_user(empty: Path) -> None:
    empty.mkdir()

    with using(empty):
        pid = pid_of(empty)

        assert Path(f"/proc/{pid}").stat().st_uid != 0
        assert (empty / "postgres").stat().st_uid != 0
        assert empty.stat().st_uid == 0
        assert empty.parent.stat().st_mode & 0o777 == 0o711


@pytest.mark.skipif(unprivileged() is None, reason="needs root and setpriv")
def test_as_root_a_folder_closed_to_the_servers_user_works_and_stays_closed(
    template: Path, empty: Path
) -> None:
    closed = empty.parent / "closed"
    closed.mkdir(mode=0o700)
    user = User(copy_of(template, closed / "data"))

    answer = ask(user.url())
    owner = Path(f"/proc/{pid_of(closed / 'data')}").stat().st_uid
    code, _ = user.leave()

    assert (answer, code) == (1, 0)
    assert owner != 0
    assert closed.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(not is_root, reason="only root has a user to leave")
def test_as_root_without_that_right_a_closed_folder_is_named(
    empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = empty.parent / "closed"
    closed.mkdir(mode=0o700)
    monkeypatch.setenv("PATH", "/nowhere")  # no setpriv

    code, talk = User(closed / "data").leave()

    assert code == 3
    assert str(closed) in talk
    assert "LEADFLOOD_DATA" in talk
    assert closed.stat().st_mode & 0o777 == 0o700


def test_a_way_open_to_all_is_not_closed_to_the_servers_user(tmp_path: Path) -> None:
    user = ServerUser("nobody", NOBODY, NOBODY)

    assert first_closed_folder(Path("/tmp/any/file"), user) is None  # noqa: S108 -- not written
    tmp_path.chmod(0o700)
    assert first_closed_folder(tmp_path / "file", user) is not None


@pytest.mark.skipif(unprivileged() is None, reason="needs root and setpriv")
def test_a_folder_of_somebody_else_is_refused(data: Path) -> None:
    closed_code, closed_talk = User(data, started_by=unprivileged()).leave()
    data.chmod(0o777)
    (data / "users.lock").unlink()
    (data / "start.lock").unlink()
    foreign_code, foreign_talk = User(data, started_by=unprivileged()).leave()

    assert (closed_code, foreign_code) == (3, 3)
    assert "set LEADFLOOD_DATA" in closed_talk
    assert "belongs to user" in foreign_talk


@pytest.mark.skipif(unprivileged() is None, reason="needs root and setpriv")
def test_an_ordinary_user_runs_the_server_itself(empty: Path) -> None:
    empty.mkdir()
    os.chown(empty, NOBODY, NOBODY)
    user = User(empty, started_by=unprivileged())

    url = user.url()
    answer = ask(url)
    owner = Path(f"/proc/{pid_of(empty)}").stat().st_uid
    user.leave()

    assert answer == 1
    assert owner == NOBODY
    assert pid_of(empty) is None


async def test_a_cancelled_start_stops_what_it_started(empty: Path) -> None:
    with anyio.move_on_after(0.3):
        async with embedded_postgres(empty, SystemClock(), durable=False):
            pytest.fail("a new database cannot be made that fast")

    assert await anyio.to_thread.run_sync(pid_of, empty) is None


def test_a_socket_left_by_a_killed_server_does_not_stop_the_start(data: Path) -> None:
    with socket.socket(socket.AF_UNIX) as leftover:
        leftover.bind(str(data / "postgres/socket/.s.PGSQL.5432"))

    with using(data):
        assert pid_of(data) is not None
