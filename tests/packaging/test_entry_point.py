"""What the image's entry point does, without an engine to run the image: as an ordinary user."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from leadflood.engine.clock import SystemClock
from tests.support.unprivileged import NOBODY, unprivileged

PATIENCE_SECONDS = 60.0
CLOCK = SystemClock()


class Container:
    """`leadflood serve` with one writable folder, as the image runs it."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.port = _free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait until it is ready."""
        words = [*(unprivileged() or []), sys.executable, "-m", "leadflood", "serve"]
        environment = {
            "PATH": os.environ["PATH"],  # noqa: TID251 - what a container would set
            "LEADFLOOD_DATA": str(self.data),
            "LEADFLOOD_HTTP__PORT": str(self.port),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        log = (self.data.parent / "log").open("ab")
        with log:
            self.process = subprocess.Popen(  # noqa: S603 - our own command
                words, env=environment, cwd="/", stdout=log, stderr=log, start_new_session=True
            )
        _wait_for(lambda: self.answers("/ready") == 200)

    def answers(self, path: str) -> int | None:
        """Ask over HTTP; None when nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as reply:
                return int(reply.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return None

    def stop(self) -> int:
        """Stop as a container engine does; tell the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_SECONDS)

    def kill_everything(self) -> None:
        """Pull the plug: the process and its database server."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(PATIENCE_SECONDS)
        for server in self.servers():
            server.kill()
        _wait_for(lambda: not self.servers())

    def servers(self) -> list[psutil.Process]:
        """Find the database server of the data folder."""
        return [
            one
            for one in psutil.process_iter(["cmdline"])
            if str(self.data) in " ".join(one.info["cmdline"] or ())
            and "postgres" in " ".join(one.info["cmdline"] or ())
        ]

    def pid_file(self) -> Path:
        """Name the server's pid file."""
        return next(self.data.rglob("postmaster.pid"))


@pytest.fixture
def container() -> Iterator[Container]:
    folder = Path(tempfile.mkdtemp(prefix="leadflood-image-"))
    folder.chmod(0o755)
    data = folder / "data"
    data.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(data, NOBODY, NOBODY)
    made = Container(data)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.kill_everything()
    shutil.rmtree(folder)


def test_an_ordinary_user_with_one_folder_serves_stops_and_comes_back_after_a_kill(
    container: Container,
) -> None:
    container.start()
    assert container.answers("/health") == 200
    assert container.stop() == 0
    assert container.servers() == []

    container.start()
    container.kill_everything()
    _give_the_pid_to_somebody_else(container.pid_file())
    container.start()

    assert container.answers("/ready") == 200
    assert container.stop() == 0
    assert container.servers() == []


def _give_the_pid_to_somebody_else(pid_file: Path) -> None:
    """After a restart of the machine the number in the file may be anybody's: here, this test's."""
    lines = pid_file.read_text("ascii").splitlines()
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n", "ascii")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(condition: object) -> None:
    assert callable(condition)
    until = CLOCK.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert CLOCK.monotonic() < until, "it took too long"
        signal.sigtimedwait([], 0.1)
