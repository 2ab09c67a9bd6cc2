"""The pretend world as a process of its own."""

import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from leadflood.sandbox.main import Announcement

_PROGRAM = """
import sys, uvloop
from leadflood.engine.clock import SystemClock
from leadflood.sandbox.main import run_sandbox
from leadflood.sandbox.world import WorldConfig

async def main():
    config = WorldConfig(folder=sys.argv[1], people_count=200)
    await run_sandbox(config, SystemClock(), until_stdin_closes=True)

uvloop.run(main())
"""


@contextmanager
def _process(folder: Path) -> Iterator[tuple["subprocess.Popen[bytes]", Announcement]]:
    process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", _PROGRAM, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        yield process, msgspec.json.decode(process.stdout.readline(), type=Announcement)
    finally:
        if process.returncode is None:
            process.kill()
            process.communicate()


def test_it_says_where_it_is_and_ends_with_its_parents_pipe(tmp_path: Path) -> None:
    with _process(tmp_path) as (process, announcement):
        url = f"{announcement.addresses.admin}/counters"
        with urllib.request.urlopen(url) as answer:  # noqa: S310 - http on 127.0.0.1
            counters = msgspec.json.decode(answer.read())
        process.communicate(timeout=10)
        code = process.returncode

    assert counters == {"requests": {}, "faults": {}, "messages": {}, "open": 0}
    assert announcement.keys.apollo == "sandbox-apollo-key"
    assert announcement.plan_multiplier == 10
    assert code == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_on_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    with _process(tmp_path) as (process, _):
        process.send_signal(number)
        process.communicate(timeout=10)

    assert process.returncode == 0
