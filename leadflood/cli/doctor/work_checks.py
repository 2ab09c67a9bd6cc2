"""Checks of the work in the database: nodes, stages, crash loops, dead letters, unknown sends."""

from collections.abc import Sequence

from leadflood.app import WHOLE_NODE
from leadflood.cli.doctor.check import DoctorCheck, failed, passed, warning
from leadflood.cli.sending import describe_unknown
from leadflood.cli.status import list_crash_loops
from leadflood.engine.control import inspection
from leadflood.engine.control.inspection import NodeRow, StageOverview
from leadflood.engine.queue import dead_letters
from leadflood.pipeline import STAGE_NAMES
from leadflood.wiring.storage import Storage

STALLED_SECONDS = 600.0


async def check_work(storage: Storage) -> list[DoctorCheck]:
    """Check nodes, stages, crash loops, dead letters and unknown sends."""
    nodes = await inspection.list_nodes(storage.db, storage.clock.now())
    dead_after = storage.settings.engine.heartbeat.dead_after_seconds
    alive = [node for node in nodes if node.silent_seconds <= dead_after]
    silent = [node for node in nodes if node not in alive]
    has_node = any(node.name == WHOLE_NODE for node in alive)
    return [
        _check_nodes(alive, silent),
        await _check_stages(storage, has_node=has_node),
        await _check_crash_loops(storage),
        await _check_dead_letters(storage),
        await _check_unknown_sends(storage),
    ]


def _check_nodes(alive: Sequence[NodeRow], silent: Sequence[NodeRow]) -> DoctorCheck:
    if not silent:
        return passed("nodes", f"{len(alive)} running")
    ids = ", ".join(str(node.id) for node in silent)
    fix = "none: the next start evicts dead nodes and takes over their jobs"
    return warning("nodes", f"{len(alive)} running, silent: {ids}", fix)


async def _check_stages(storage: Storage, *, has_node: bool) -> DoctorCheck:
    stages = await inspection.list_stages(storage.db, STAGE_NAMES, storage.clock.now())
    stalled = [stage for stage in stages if _is_stalled(stage)]
    paused = [stage.name for stage in stages if stage.paused]
    queued = sum(stage.queued for stage in stages)
    if stalled and has_node:
        descriptions = ", ".join(
            f"{stage.name} ({stage.queued} queued, {stage.oldest_seconds:.0f} s)"
            for stage in stalled
        )
        fix = "read the node's log and /ready: they say why"
        return failed("stages", f"stalled: {descriptions}", fix)
    if paused:
        fix = "; ".join(f"`leadflood stage resume {name}`" for name in paused)
        return warning("stages", f"paused: {', '.join(paused)}", fix)
    if queued and not has_node:
        return warning(
            "stages", f"{queued} jobs wait and no node is running", "run `leadflood serve`"
        )
    return passed("stages", f"{queued} jobs queued")


def _is_stalled(stage: StageOverview) -> bool:
    return not stage.paused and (stage.oldest_seconds or 0) > STALLED_SECONDS


async def _check_crash_loops(storage: Storage) -> DoctorCheck:
    loops = await list_crash_loops(storage)
    if not loops:
        return passed("crash loops", "none")
    descriptions = ", ".join(
        f"{loop.id} ({loop.stage}, lost {loop.losses} times)" for loop in loops
    )
    fix = f"look at the node's log, then `leadflood dead-letters bury {loops[0].id}`"
    return failed("crash loops", descriptions, fix)


async def _check_dead_letters(storage: Storage) -> DoctorCheck:
    counts = await dead_letters.count(storage.db)
    if not counts:
        return passed("dead letters", "none")
    descriptions = ", ".join(
        f"{count.letters} {count.stage} {count.error_code}" for count in counts
    )
    fix = "`leadflood dead-letters list`, then replay them"
    if any(count.error_code.startswith("engine.") for count in counts):
        return failed("dead letters", descriptions, fix)
    return warning("dead letters", descriptions, fix)


async def _check_unknown_sends(storage: Storage) -> DoctorCheck:
    summaries = await storage.messaging().unknown_sends.summarize()
    if not summaries:
        return passed("unknown sends", "none")
    *findings, fix = describe_unknown(summaries)
    return warning("unknown sends", "; ".join(findings), fix)
