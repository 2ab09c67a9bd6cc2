"""`leadflood status`: the nodes, their work, and what needs a person."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from leadflood.cli.console import print_data, print_json, print_table
from leadflood.cli.database_command import AsJson, with_storage
from leadflood.cli.runs import describe_wait
from leadflood.cli.sending import describe_unknown, describe_waiting, format_switch
from leadflood.domain.runs.schemas import RunWait
from leadflood.domain.runs.service.reports import RunReports
from leadflood.domain.sending.schemas import SendingStatus
from leadflood.engine.control import inspection
from leadflood.engine.control.inspection import CrashLoop, NodeRow, StageOverview
from leadflood.engine.errors import LeadfloodError
from leadflood.engine.net.client import open_client
from leadflood.engine.queue import dead_letters, runs
from leadflood.engine.queue.dead_letters import DeadLetterCount
from leadflood.pipeline import STAGE_NAMES
from leadflood.settings import Settings
from leadflood.wiring.storage import Storage

TREE_PATH = "/v1/admin/tree"
TREE_SECONDS = 2.0
MAX_ROWS = 20


class RunStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A run that is not finished."""

    id: UUID
    kind: str
    title: str
    sends: str
    live_jobs: int
    waits: tuple[RunWait, ...]
    created_at: datetime


class Status(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The overview of an operator; `tree` None: no node answers at its HTTP address."""

    nodes: list[NodeRow]
    stages: list[StageOverview]
    runs: list[RunStatus]
    sending: SendingStatus
    providers_off: list[str]
    crash_loops: list[CrashLoop]
    dead_letters: list[DeadLetterCount]
    tree: Any = None


def status(*, as_json: AsJson = False) -> None:
    """Show nodes, stages, runs, sending and the actor tree."""
    current = with_storage(_read_status, proves_secret=False)
    if as_json:
        print_json(current)
        return
    _print_status(current)


async def _read_status(storage: Storage) -> Status:
    db, now = storage.db, storage.clock.now()
    return Status(
        nodes=await inspection.list_nodes(db, now),
        stages=await inspection.list_stages(db, STAGE_NAMES, now),
        runs=await _list_runs(storage),
        sending=await storage.messaging().sending.status(),
        providers_off=await inspection.list_providers_off(db),
        crash_loops=await list_crash_loops(storage),
        dead_letters=await dead_letters.count(db),
        tree=await read_tree(storage.settings),
    )


async def list_crash_loops(storage: Storage) -> list[CrashLoop]:
    """Return the jobs that were lost as often as the settings have patience."""
    patience = storage.settings.engine.maintenance.loss_patience
    return await inspection.list_crash_loops(storage.db, patience, MAX_ROWS)


async def _list_runs(storage: Storage) -> list[RunStatus]:
    open_runs = await runs.list_open(storage.db, MAX_ROWS)
    return [
        RunStatus(
            id=run.id,
            kind=run.kind,
            title=run.title,
            sends=run.sends,
            live_jobs=sum((await runs.count_live(storage.db, run.id)).values()),
            waits=await RunReports(storage.db).list_waits(run.id),
            created_at=run.created_at,
        )
        for run in open_runs
    ]


async def read_tree(settings: Settings) -> Any:
    """Return the actor tree of the node that serves on this machine; None when none answers."""
    http = settings.http
    headers = {"Authorization": f"Bearer {http.token}"} if http.token else {}
    url = f"http://{http.host}:{http.port}{TREE_PATH}"
    try:
        async with open_client(settings.net) as client:
            reply = await client.request("GET", url, headers=headers, timeout_seconds=TREE_SECONDS)
        return msgspec.json.decode(reply.body) if reply.status == 200 else None  # noqa: PLR2004 - OK
    except (LeadfloodError, msgspec.DecodeError):
        return None


def _print_status(current: Status) -> None:
    _print_nodes(current.nodes)
    print_data("")
    _print_stages(current.stages)
    print_data("")
    for run in current.runs:
        print_data(f"run {run.id} {run.kind} {run.title!r}: {run.live_jobs} jobs, {run.sends}")
        for wait in run.waits:
            print_data(f"  {describe_wait(wait)}")
    print_data(format_switch(current.sending))
    sending = current.sending
    for line in (*describe_waiting(sending.waiting), *describe_unknown(sending.unknown)):
        print_data(line)
    _print_troubles(current)
    if current.tree is not None:
        print_data("")
        _print_actor(current.tree, 0)


def _print_nodes(nodes: list[NodeRow]) -> None:
    if not nodes:
        print_data("no node is running (start one with `leadflood serve`)")
        return
    print_table(
        ("node", "name", "started", "silent s"),
        [
            (node.id, node.name, f"{node.started_at:%Y-%m-%d %H:%M:%S}", node.silent_seconds)
            for node in nodes
        ],
    )


def _print_stages(stages: list[StageOverview]) -> None:
    print_table(
        ("stage", "state", "queued", "running", "scheduled", "oldest s", "scale"),
        [
            (
                stage.name,
                "paused" if stage.paused else "open",
                stage.queued,
                stage.running,
                stage.scheduled,
                stage.oldest_seconds,
                stage.scale,
            )
            for stage in stages
        ],
    )


def _print_troubles(current: Status) -> None:
    for name in current.providers_off:
        print_data(f"provider {name} is switched off")
    for loop in current.crash_loops:
        print_data(
            f"crash loop: job {loop.id} of {loop.stage} was lost {loop.losses} times: "
            f"`leadflood dead-letters bury {loop.id}` gives it up"
        )
    for count in current.dead_letters:
        print_data(f"dead letters: {count.letters} of {count.stage} with {count.error_code}")


def _print_actor(actor: Any, depth: int) -> None:
    """Print an actor of a node's answer with those below it."""
    if not isinstance(actor, dict):
        return
    parts = [str(actor.get("health", ""))]
    if actor.get("restarts"):
        parts.append(f"restarted {actor['restarts']} times: {actor.get('lastError', '')}")
    if isinstance(stage := actor.get("stage"), dict):
        parts.append(_format_stage(stage))
    print_data(f"{'  ' * depth}{actor.get('name', '?')}: {', '.join(filter(None, parts))}")
    for child in actor.get("children", ()):
        _print_actor(child, depth + 1)


def _format_stage(stage: dict[str, Any]) -> str:
    text = (
        f"{stage.get('state')}, mailbox {stage.get('channel')} of {stage.get('capacity')}, "
        f"in flight {stage.get('inFlight')} of {stage.get('concurrency')}, "
        f"{stage.get('completed')} done, {stage.get('failed')} failed, {stage.get('perSecond')}/s"
    )
    reason = stage.get("stallReason") or stage.get("lastError")
    return f"{text}, {reason}" if reason else text
