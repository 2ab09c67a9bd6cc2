"""Other queues on Postgres, each run in a process of its own by the settings its documents advise.

A peer's process gets one JSON argument: `phase` (drain | chain | idle | produce), `url`, the same
address in pieces, `jobs` or `items`, `seconds`, `cut_seconds`. It answers in JSON lines like ours.
"""

import importlib.metadata
import importlib.util
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import msgspec
from anyio import to_thread

from benchmarks.world import print_message, python

HERE = Path(__file__).parent
CACHE = Path(tempfile.gettempdir()) / "leadflood-benchmark-peers"
INSTALL_SECONDS = 120


class Peer(msgspec.Struct, frozen=True):
    """`jobs` is what it drains in well over ten seconds on such a machine; `items` go round."""

    name: str
    package: str
    jobs: int
    items: int
    script: str = ""


PEERS = (
    Peer("procrastinate", "procrastinate", 12_000, 100),
    Peer("pgqueuer", "pgqueuer", 200_000, 1_000),
    Peer("pg-boss", "pg-boss", 400_000, 10_000, "pg_boss.mjs"),
    Peer("graphile-worker", "graphile-worker", 400_000, 1_000, "graphile_worker.mjs"),
)

FASTIFY = Peer("fastify", "fastify", 0, 0, "fastify_api.mjs")
"""Not a queue: the peer of the API's benchmark."""


class Unavailable(Exception):
    """A peer cannot be run here; the text says why."""


async def command_of(peer: Peer) -> list[str]:
    """Return the command that runs a peer, installing what node needs at first use.

    Raises: Unavailable.
    """
    if peer.script:
        return [str(shutil.which("node")), str(await to_thread.run_sync(_install, peer))]
    if importlib.util.find_spec(peer.package) is None:
        raise Unavailable(f"{peer.package} is not installed: pip install 'leadflood[bench]'")
    return python(f"benchmarks.peers.{peer.name}_worker")


def choose(wanted: str) -> list[Peer]:
    """Read `--peers`: all, none or names."""
    if wanted in {"all", "none"}:
        return list(PEERS) if wanted == "all" else []
    names = set(wanted.split(","))
    if unknown := names - {peer.name for peer in PEERS}:
        raise SystemExit(f"--peers: no peer named {', '.join(sorted(unknown))}")
    return [peer for peer in PEERS if peer.name in names]


def _install(peer: Peer) -> Path:
    """Put scripts and packages into a folder of the temporary ones; node looks beside a script."""
    npm = shutil.which("npm")
    if not shutil.which("node") or not npm:
        raise Unavailable("node and npm are not on this machine")
    CACHE.mkdir(exist_ok=True)
    names = (HERE / "package.json").read_text("utf-8")
    for script in HERE.glob("*.mjs"):
        shutil.copy(script, CACHE / script.name)
    installed = CACHE / "package.json"
    is_there = (CACHE / "node_modules" / peer.package / "package.json").exists()
    if not is_there or not installed.exists() or installed.read_text("utf-8") != names:
        print_message("installing the peers that run on node")
        installed.write_text(names, "utf-8")
        _run_npm(
            [npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"]
        )
    return CACHE / peer.script


def _run_npm(command: list[str]) -> None:
    try:
        result = subprocess.run(  # noqa: S603 - npm, found above, with words of our own
            command, cwd=CACHE, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable("npm did not finish installing") from error
    if result.returncode != 0:
        (CACHE / "package.json").unlink(missing_ok=True)
        raise Unavailable(f"npm install failed: {result.stderr.strip()[-300:]}")


def version_of(peer: Peer) -> str:
    """Return the measured version."""
    if peer.script:
        path = CACHE / "node_modules" / peer.package / "package.json"
        return str(json.loads(path.read_text("utf-8"))["version"])
    return importlib.metadata.version(peer.package)
