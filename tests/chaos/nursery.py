"""Starts workers and worlds quickly: everything is imported once, each child is a fork of that.

    python -m tests.chaos.nursery   (JSON orders on stdin, JSON reports on stdout, one a line)

Ends, and ends its children, when its stdin closes.
"""

import contextlib
import os
import selectors
import signal
import sys

import anyio
import msgspec
from leadflood.engine.clock import SystemClock
from leadflood.engine.obs import log as logs
from leadflood.sandbox.main import run_sandbox
from leadflood.sandbox.world import WorldConfig

from tests.chaos.worker import WorkerOrders, run as run_worker

POLL_SECONDS = 0.02
CHUNK_BYTES = 1_000_000


class ChildOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Start a worker or a world; stdout goes to `out`, stderr to `out` with `.log` behind it."""

    out: str
    worker: WorkerOrders | None = None
    world: WorldConfig | None = None


class ChildReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A child was started, or has ended with a code (negative: the signal that killed it)."""

    pid: int
    code: int | None = None


def run_child(start: ChildOrder) -> None:
    """Run the child: a worker or a world."""
    for number, path in ((1, start.out), (2, start.out + ".log")):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(handle, number)
    if start.worker is not None:
        run_worker(start.worker)
    if start.world is not None:
        logs.configure(logs.Settings(level="warning", format="text"))
        config = start.world
        anyio.run(run_sandbox, config, SystemClock(), backend_options={"use_uvloop": True})


def fork(start: ChildOrder) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.close(0)
        os.open(os.devnull, os.O_RDONLY)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        run_child(start)
        code = 0
    except BaseException:  # noqa: BLE001 - a fork must never come back to the parent's code
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(code)


def send_report(report: ChildReport) -> None:
    os.write(1, msgspec.json.encode(report) + b"\n")


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    children: set[int] = set()
    decoder = msgspec.json.Decoder(ChildOrder)
    rest = b""
    selector = selectors.DefaultSelector()
    selector.register(0, selectors.EVENT_READ)
    while True:
        if selector.select(POLL_SECONDS):
            chunk = os.read(0, CHUNK_BYTES)
            if not chunk:
                break
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                pid = fork(decoder.decode(line))
                children.add(pid)
                send_report(ChildReport(pid=pid))
        reap(children)
    for pid in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def reap(children: set[int]) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        children.discard(pid)
        send_report(ChildReport(pid=pid, code=os.waitstatus_to_exitcode(status)))


if __name__ == "__main__":
    main()
