"""What the doctor looks at: one function a resource, each with the words that mend it."""

import tempfile
from collections.abc import AsyncIterator, Sequence
from enum import StrEnum
from uuid import UUID

import msgspec
from anyio import to_thread

from leadflood.api.http.settings import warning_of
from leadflood.app import (
    WHOLE_NODE,
    Storage,
    is_configured,
    messaging_settings,
    open_node,
    open_storage,
)
from leadflood.cli.console import money, say
from leadflood.cli.sending import messaging_of
from leadflood.cli.status import list_crash_loops, list_nodes, list_providers_off, list_stages
from leadflood.contracts.ports.account import AccountReader
from leadflood.contracts.values import Channel
from leadflood.domain.messaging.letter import missing_settings
from leadflood.domain.messaging.schemas import IntentState
from leadflood.engine.actors.supervisor import first_cause
from leadflood.engine.db import migrations
from leadflood.engine.db.server_checks import inspect
from leadflood.engine.db.tx import sqlstate_of
from leadflood.engine.errors import Invalid, LeadfloodError
from leadflood.engine.ledger.repository import sum_lines
from leadflood.engine.net.ledger_port import LineState
from leadflood.engine.queue import dead_letters, repository
from leadflood.providers import catalog
from leadflood.settings import Settings

STALLED_SECONDS = 600.0


class Light(StrEnum):
    """Red keeps something from working; yellow is worth knowing."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"


class Check(msgspec.Struct, frozen=True):
    """What was found of a resource; `fix` is empty where nothing is to be done."""

    name: str
    light: Light
    found: str
    fix: str = ""


def good(name: str, found: str) -> Check:
    """Make a green line."""
    return Check(name, Light.GREEN, found)


def note(name: str, found: str, fix: str) -> Check:
    """Make a yellow line."""
    return Check(name, Light.YELLOW, found, fix)


def bad(name: str, found: str, fix: str) -> Check:
    """Make a red line."""
    return Check(name, Light.RED, found, fix)


def failed(name: str, error: BaseException) -> Check:
    """Make a red line of an error; ours say themselves what to do."""
    if isinstance(error, Invalid) and error.fields:
        return bad(name, error.detail, "; ".join(f"{x.path}: {x.problem}" for x in error.fields))
    if isinstance(error, LeadfloodError):
        return bad(name, f"{error.error_code}", error.detail)
    return bad(name, f"{type(error).__name__}: {error}"[:300], "see the words of the error")


async def check_everything(settings: Settings, *, online: bool) -> list[Check]:
    """Check resource by resource; what cannot be looked at is red and does not stop the rest."""
    checks = [good("settings", "read, and every key is known"), await _check_folder(settings)]
    checks += [_check_http(settings), *_check_providers(settings)]
    try:
        async with open_storage(settings, report=say, migrate=False) as storage:
            checks += [check async for check in _check_database(storage, online=online)]
    except Exception as error:
        cause = first_cause(error)
        if not _is_expected(cause):
            raise
        where = "the server DATABASE_URL names" if settings.database.url else "the embedded server"
        checks.append(
            bad("postgres", f"{where} cannot be used: {_said(cause)}", _database_fix(settings))
        )
    return checks


def _is_expected(error: BaseException) -> bool:
    is_ours = isinstance(error, LeadfloodError | OSError | TimeoutError | ValueError)
    return is_ours or sqlstate_of(error) is not None


def _said(error: BaseException) -> str:
    return (str(error) or type(error).__name__)[:300]


def _database_fix(settings: Settings) -> str:
    if settings.database.url:
        return "check that the server runs, and host, port, user and password in DATABASE_URL"
    return f"look at {settings.data_folder()}/postgres*, or set LEADFLOOD_DATA to another folder"


async def _check_folder(settings: Settings) -> Check:
    folder = settings.data_folder()

    def probe() -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass

    try:
        await to_thread.run_sync(probe)
    except OSError as error:
        return bad(
            "data folder",
            f"{folder} cannot be written ({error.strerror or error})",
            "run as its owner, or set LEADFLOOD_DATA to a folder that may be written",
        )
    return good("data folder", f"{folder} can be written")


def _check_http(settings: Settings) -> Check:
    http = settings.http
    where = f"{http.host}:{http.port}"
    if warning := warning_of(http):
        return note("http", warning, "put a proxy that speaks TLS before it and name its address")
    return good("http", f"serves on {where}")


def _check_providers(settings: Settings) -> list[Check]:
    return [_check_provider(settings, name) for name in catalog.CATALOG]


def _check_provider(settings: Settings, name: str) -> Check:
    provider, spec = settings.providers[name], catalog.CATALOG[name].spec
    title = f"provider {name}"
    if not provider.enabled:
        return good(title, "disabled in the settings")
    if not is_configured(provider, spec.secrets):
        missing = [need for need in spec.secrets if not getattr(provider, need, "")]
        names = ", ".join(f"LEADFLOOD_PROVIDERS__{name.upper()}__{x.upper()}" for x in missing)
        return note(title, "not configured: it is not asked", f"set {names} to use it")
    if catalog.is_paid_per_lead(spec) and not provider.credit_price_micros:
        return note(
            title,
            "configured, but without a price: no budget can hold it",
            f"set providers.{name}.credit_price_micros to what one credit costs",
        )
    return good(title, f"configured ({provider.base_url or spec.base_url})")


async def _check_database(storage: Storage, *, online: bool) -> AsyncIterator[Check]:
    yield await _check_server(storage)
    state = await migrations.status(storage.database)
    if state.current is None:
        yield note("migrations", "the database is empty", "none: the first start makes the tables")
        return
    if not state.is_current:
        pending = ", ".join(state.pending)
        yield bad("migrations", f"left to do: {pending}", "run `leadflood migrate up`")
        return
    yield good("migrations", f"at {state.current}, the newest")
    yield await _check_installation(storage)
    for check in await _check_work(storage):
        yield check
    for check in await _check_messaging(storage):
        yield check
    yield await _check_ledger(storage)
    yield await _check_switches(storage)
    if online:
        for check in await _try_keys(storage):
            yield check


async def _check_server(storage: Storage) -> Check:
    facts = await inspect(storage.database)
    where = "embedded" if storage.server is not None else "DATABASE_URL"
    found = (
        f"{where}, PostgreSQL {facts.version}, fsync {_word(facts.fsync)}, full_page_writes "
        f"{_word(facts.full_page_writes)}, synchronous_commit {facts.synchronous_commit}"
    )
    if wrong := [*facts.obstacles(), *facts.dangers()]:
        return bad("postgres", found, "; ".join(wrong))
    if facts.synchronous_commit not in {"on", "remote_apply", "remote_write", "local"}:
        fix = "a crash may lose the last commits; set synchronous_commit = on"
        return bad("postgres", found, fix)
    return good("postgres", found)


def _word(is_on: bool) -> str:
    return "on" if is_on else "off"


async def _check_installation(storage: Storage) -> Check:
    row = await repository.find_installation(storage.db)
    if row is None:
        return good("installation", "new: the first start writes whose database this is")
    found = f"{row['mode']} mode, {row['clock_kind']} clock, era {row['era']}"
    if (row["mode"], row["clock_kind"]) != (storage.settings.mode, storage.clock.kind):
        return bad(
            "installation",
            f"{found}, but the settings say {storage.settings.mode} mode",
            "set `mode` to the database's, or use another database: the two never mix",
        )
    return good("installation", found)


async def _check_work(storage: Storage) -> list[Check]:
    beat = storage.settings.engine.heartbeat
    nodes = await list_nodes(storage)
    alive = [node for node in nodes if node.silent_seconds <= beat.dead_after_seconds]
    silent = [str(node.id) for node in nodes if node not in alive]
    checks = [good("nodes", f"{len(alive)} at work")]
    if silent:
        checks = [
            note("nodes", f"{len(alive)} at work, silent: {', '.join(silent)}",
                 "none: the next start buries the dead and takes back what they held")
        ]  # fmt: skip
    checks.append(await _check_stages(storage, has_node=any(x.name == WHOLE_NODE for x in alive)))
    checks.append(await _check_crash_loops(storage))
    checks.append(await _check_dead_letters(storage))
    return checks


async def _check_stages(storage: Storage, *, has_node: bool) -> Check:
    stages = await list_stages(storage)
    late = [x for x in stages if (x.oldest_seconds or 0) > STALLED_SECONDS and not x.paused]
    paused = [x.name for x in stages if x.paused]
    queued = sum(x.queued for x in stages)
    if late and has_node:
        told = ", ".join(f"{x.name} ({x.queued} queued, {x.oldest_seconds:.0f} s)" for x in late)
        return bad("stages", f"stalled: {told}", "read the node's log and /ready: it says why")
    if paused:
        fix = "; ".join(f"`leadflood stage resume {name}`" for name in paused)
        return note("stages", f"paused: {', '.join(paused)}", fix)
    if queued and not has_node:
        return note("stages", f"{queued} jobs wait and no node is at work", "run `leadflood serve`")
    return good("stages", f"{queued} jobs queued")


async def _check_crash_loops(storage: Storage) -> Check:
    loops = await list_crash_loops(storage)
    if not loops:
        return good("crash loops", "none")
    told = ", ".join(f"{loop.id} ({loop.stage}, lost {loop.losses} times)" for loop in loops)
    fix = f"look at the node's log, then `leadflood dead-letters bury {loops[0].id}`"
    return bad("crash loops", told, fix)


async def _check_dead_letters(storage: Storage) -> Check:
    counts = await dead_letters.count(storage.db)
    if not counts:
        return good("dead letters", "none")
    told = ", ".join(f"{x.letters} {x.stage} {x.error_code}" for x in counts)
    fix = "`leadflood dead-letters list`, then replay them"
    if any(x.error_code.startswith("engine.") for x in counts):
        return bad("dead letters", told, fix)
    return note("dead letters", told, fix)


async def _check_messaging(storage: Storage) -> list[Check]:
    sending = await messaging_of(storage).sending_status()
    checks = [good("sending", "released")]
    if sending.held:
        found = f"held by {sending.by}: {sending.reason}" if sending.by else "held"
        checks = [note("sending", found, "when all is well: `leadflood sending release`")]
    unknown = sending.counts.get(IntentState.UNKNOWN, 0)
    if unknown:
        fix = "`leadflood sending unknown list`, then resolve each"
        checks.append(bad("unknown sends", f"{unknown} may or may not have arrived", fix))
    else:
        checks.append(good("unknown sends", "none"))
    return [*checks, _check_mail(storage.settings)]


def _check_mail(settings: Settings) -> Check:
    missing = missing_settings(Channel.EMAIL, messaging_settings(settings))
    if not missing:
        return good("mail settings", "complete")
    fix = f"set {', '.join(missing)}"
    is_sending = any(
        is_configured(settings.providers[name], catalog.CATALOG[name].spec.secrets)
        for name in catalog.list_senders(Channel.EMAIL)
    )
    if is_sending:
        return bad("mail settings", "incomplete: every e-mail is refused", fix)
    return note("mail settings", "incomplete, and no mail server is set: nothing is sent", fix)


async def _check_ledger(storage: Storage) -> Check:
    totals = await sum_lines(storage.db)
    doubtful = [x for x in totals if x.state is LineState.UNRESOLVED]
    if not doubtful:
        return good("ledger", "no unresolved lines")
    told = ", ".join(f"{x.lines} {x.provider} ({money(x.reserved_micros, 2)})" for x in doubtful)
    fix = "compare with the provider's invoice; they count at their reserved price"
    return note("ledger", f"unresolved: {told}", fix)


async def _check_switches(storage: Storage) -> Check:
    names = await list_providers_off(storage)
    if not names:
        return good("provider switches", "all on")
    fix = "; ".join(f"`leadflood provider on {name}`" for name in names)
    return note("provider switches", f"off: {', '.join(names)}", fix)


async def _try_keys(storage: Storage) -> Sequence[Check]:
    try:
        return await _check_keys(storage)
    except Exception as error:
        cause = first_cause(error)
        if not _is_expected(cause):
            raise
        return [failed("keys", cause)]


async def _check_keys(storage: Storage) -> Sequence[Check]:
    """Ask each provider that can tell, at no cost, whether our key is good."""
    checks = []
    nobody = UUID(int=0)  # a node that works for no run at all
    async with open_node(storage, only_runs=(nobody,)) as node:
        for name, adapter in node.adapters.items():
            if not isinstance(adapter, AccountReader):
                continue
            try:
                await adapter.check_key()
            except LeadfloodError as error:
                checks.append(failed(f"key of {name}", error))
            else:
                checks.append(good(f"key of {name}", "accepted"))
    return checks
