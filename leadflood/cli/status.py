"""`leadflood status`: who is at work, on what, and what needs a person."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from leadflood.app import STAGE_NAMES, Storage
from leadflood.cli.console import print_data, print_json
from leadflood.cli.database_command import AsJson, print_table, with_storage
from leadflood.cli.sending import messaging_of
from leadflood.domain.messaging.schemas import SendingStatus
from leadflood.engine.errors import LeadfloodError
from leadflood.engine.net.client import open_client
from leadflood.engine.queue import dead_letters, repository, runs, switches
from leadflood.engine.queue.dead_letters import DeadLetterCount
from leadflood.settings import Settings

TREE_PATH = "/v1/admin/tree"
TREE_SECONDS = 2.0
MOST = 20


class NodeStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A node's row; `silent_seconds` is by the database's clock."""

    id: int
    name: str
    started_at: datetime
    silent_seconds: float


class StageStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A stage over all nodes. `scale` None: what each node's settings say."""

    name: str
    paused: bool
    queued: int
    running: int
    scheduled: int
    oldest_seconds: float | None
    scale: str | None


class RunStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A run that goes on."""

    id: UUID
    kind: str
    title: str
    sends: str
    live_jobs: int
    created_at: datetime


class CrashLoop(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A job whose node died under it again and again."""

    id: UUID
    stage: str
    losses: int
    run_at: datetime | None
    run_id: UUID | None


class Status(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Everything an operator looks at first. `tree` None: no node answers at its HTTP address."""

    nodes: list[NodeStatus]
    stages: list[StageStatus]
    runs: list[RunStatus]
    sending: SendingStatus
    providers_off: list[str]
    crash_loops: list[CrashLoop]
    dead_letters: list[DeadLetterCount]
    tree: Any = None


def status(*, as_json: AsJson = False) -> None:
    """Show nodes, stages, runs, sending and the actor tree."""
    found = with_storage(_read)
    if as_json:
        print_json(found)
        return
    _print(found)


async def _read(storage: Storage) -> Status:
    return Status(
        nodes=await list_nodes(storage),
        stages=await list_stages(storage),
        runs=await _list_runs(storage),
        sending=await messaging_of(storage).sending_status(),
        providers_off=await list_providers_off(storage),
        crash_loops=await list_crash_loops(storage),
        dead_letters=await dead_letters.count(storage.db),
        tree=await read_tree(storage.settings),
    )


async def list_nodes(storage: Storage) -> list[NodeStatus]:
    """List the rows of nodes, dead ones that nobody has buried too."""
    installation = await repository.find_installation(storage.db)
    now = storage.clock.now() if installation is None else installation["database_now"]
    return [
        NodeStatus(
            id=row["id"],
            name=row["name"],
            started_at=row["started_at"],
            silent_seconds=round(max((now - row["last_beat_at"]).total_seconds(), 0.0), 1),
        )
        for row in await storage.db.fetch(repository.SQL.list_nodes)
    ]


async def list_stages(storage: Storage) -> list[StageStatus]:
    """Tell depth, age and switches of every stage."""
    rows = await repository.find_switches(storage.db)
    jobs = {row["stage"]: row for row in await repository.count_jobs(storage.db)}
    return [_stage(name, jobs.get(name), rows, storage.clock.now()) for name in STAGE_NAMES]


def _stage(name: str, row: Any, switch_rows: dict[str, Any], now: datetime) -> StageStatus:
    paused = switch_rows.get(switches.STAGE + name)
    scale = switch_rows.get(switches.SCALE + name)
    oldest_at = None if row is None else row["oldest_at"]
    return StageStatus(
        name=name,
        paused=paused is not None and paused["state"] == switches.PAUSED,
        queued=0 if row is None else row["queued"],
        running=0 if row is None else row["running"],
        scheduled=0 if row is None else row["scheduled"],
        oldest_seconds=None if oldest_at is None else round((now - oldest_at).total_seconds(), 1),
        scale=None if scale is None else scale["state"],
    )


async def _list_runs(storage: Storage) -> list[RunStatus]:
    found = await runs.list_open(storage.db, MOST)
    return [
        RunStatus(
            id=run.id,
            kind=run.kind,
            title=run.title,
            sends=run.sends,
            live_jobs=sum((await runs.count_live(storage.db, run.id)).values()),
            created_at=run.created_at,
        )
        for run in found
    ]


async def list_providers_off(storage: Storage) -> list[str]:
    """List the providers that an operator has switched off."""
    rows = await repository.find_switches(storage.db)
    return [
        name.removeprefix(switches.PROVIDER)
        for name, row in rows.items()
        if name.startswith(switches.PROVIDER) and row["state"] == switches.OFF
    ]


async def list_crash_loops(storage: Storage) -> list[CrashLoop]:
    """List the jobs whose node died under them again and again."""
    patience = storage.settings.engine.maintenance.loss_patience
    rows = await storage.db.fetch(repository.SQL.list_crash_loops, patience=patience, limit=MOST)
    return [CrashLoop(**dict(row.items())) for row in rows]


async def read_tree(settings: Settings) -> Any:
    """Ask the node that serves on this machine for its actors; None when none answers."""
    http = settings.http
    headers = {"Authorization": f"Bearer {http.token}"} if http.token else {}
    url = f"http://{http.host}:{http.port}{TREE_PATH}"
    try:
        async with open_client(settings.net) as client:
            reply = await client.request("GET", url, headers=headers, timeout_seconds=TREE_SECONDS)
        return msgspec.json.decode(reply.body) if reply.status == 200 else None  # noqa: PLR2004 - OK
    except (LeadfloodError, msgspec.DecodeError):
        return None


def _print(found: Status) -> None:
    _print_nodes(found)
    print_data("")
    print_table(
        ("stage", "state", "queued", "running", "scheduled", "oldest s", "scale"),
        [
            (one.name, "paused" if one.paused else "open", one.queued, one.running, one.scheduled,
             one.oldest_seconds, one.scale)
            for one in found.stages
        ],
    )  # fmt: skip
    print_data("")
    for run in found.runs:
        print_data(f"run {run.id} {run.kind} {run.title!r}: {run.live_jobs} jobs, {run.sends}")
    held = "HELD" if found.sending.held else "released"
    why = f" ({found.sending.reason})" if found.sending.reason else ""
    print_data(f"sending is {held} by {found.sending.by}{why}")
    _print_troubles(found)
    if found.tree is not None:
        print_data("")
        _print_tree(found.tree, 0)


def _print_nodes(found: Status) -> None:
    if not found.nodes:
        print_data("no node is at work (start one with `leadflood serve`)")
        return
    print_table(
        ("node", "name", "started", "silent s"),
        [
            (one.id, one.name, f"{one.started_at:%Y-%m-%d %H:%M:%S}", one.silent_seconds)
            for one in found.nodes
        ],
    )


def _print_troubles(found: Status) -> None:
    for name in found.providers_off:
        print_data(f"provider {name} is switched off")
    for loop in found.crash_loops:
        print_data(
            f"crash loop: job {loop.id} of {loop.stage} was lost {loop.losses} times: "
            f"`leadflood dead-letters bury {loop.id}` gives it up"
        )
    for letters in found.dead_letters:
        print_data(f"dead letters: {letters.letters} of {letters.stage} with {letters.error_code}")


def _print_tree(actor: Any, depth: int) -> None:
    """Print an actor of a node's answer with those below it."""
    if not isinstance(actor, dict):
        return
    told = [str(actor.get("health", ""))]
    if actor.get("restarts"):
        told.append(f"restarted {actor['restarts']} times: {actor.get('lastError', '')}")
    if isinstance(stage := actor.get("stage"), dict):
        told.append(_say_stage(stage))
    print_data(f"{'  ' * depth}{actor.get('name', '?')}: {', '.join(filter(None, told))}")
    for child in actor.get("children", ()):
        _print_tree(child, depth + 1)


def _say_stage(stage: dict[str, Any]) -> str:
    said = (
        f"{stage.get('state')}, mailbox {stage.get('channel')} of {stage.get('capacity')}, "
        f"in flight {stage.get('inFlight')} of {stage.get('concurrency')}, "
        f"{stage.get('completed')} done, {stage.get('failed')} failed, {stage.get('perSecond')}/s"
    )
    why = stage.get("stallReason") or stage.get("lastError")
    return f"{said}, {why}" if why else said
