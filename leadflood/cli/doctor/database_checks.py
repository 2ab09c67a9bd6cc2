"""Checks of the database: the server, the tables, sending, the ledger, switches."""

from collections.abc import AsyncIterator

import msgspec

from leadflood.api.http.client_address import Proxies
from leadflood.api.http.untrusted_proxies import list_proxies
from leadflood.cli.console import format_money
from leadflood.cli.doctor.check import DoctorCheck, failed, passed, warning
from leadflood.cli.doctor.key_checks import check_keys
from leadflood.cli.doctor.settings_checks import check_mail
from leadflood.cli.doctor.work_checks import check_work
from leadflood.engine.control import inspection
from leadflood.engine.db import migrations
from leadflood.engine.db.server_checks import inspect
from leadflood.engine.disk import DiskLevel, DiskWatch
from leadflood.engine.errors import Conflict, Invalid
from leadflood.engine.ledger.lines import sum_lines
from leadflood.engine.net.ledger_port import LineState
from leadflood.engine.queue import repository
from leadflood.engine.queue.guard import Guard
from leadflood.wiring.storage import Storage

DURABLE_COMMIT = {"on", "remote_apply", "remote_write", "local"}


async def check_database(storage: Storage, *, online: bool) -> AsyncIterator[DoctorCheck]:
    """Check the server, the tables and the work in them; `online` also the providers' keys."""
    yield await _check_server(storage)
    state = await migrations.status(storage.database)
    if state.current is None:
        yield warning(
            "migrations", "the database is empty", "none: the first start makes the tables"
        )
        return
    if not state.is_current:
        pending = ", ".join(state.pending)
        yield failed("migrations", f"left to do: {pending}", "run `leadflood migrate up`")
        return
    yield passed("migrations", f"at {state.current}, the newest")
    yield await _check_installation(storage)
    yield await _check_secret(storage)
    yield await _check_clock(storage)
    yield await _check_proxies(storage)
    yield await _check_disk(storage)
    for check in await check_work(storage):
        yield check
    for check in await _check_messaging(storage):
        yield check
    yield await _check_ledger(storage)
    yield await _check_switches(storage)
    if online:
        for check in await check_keys(storage):
            yield check


async def _check_server(storage: Storage) -> DoctorCheck:
    facts = await inspect(storage.database)
    where = "embedded" if storage.server is not None else "DATABASE_URL"
    finding = (
        f"{where}, PostgreSQL {facts.version}, fsync {_on_off(facts.fsync)}, full_page_writes "
        f"{_on_off(facts.full_page_writes)}, synchronous_commit {facts.synchronous_commit}"
    )
    if problems := [*facts.obstacles(), *facts.dangers()]:
        return failed("postgres", finding, "; ".join(problems))
    if facts.synchronous_commit not in DURABLE_COMMIT:
        fix = "a crash may lose the last commits; set synchronous_commit = on"
        return failed("postgres", finding, fix)
    return passed("postgres", finding)


def _on_off(is_on: bool) -> str:
    return "on" if is_on else "off"


async def _check_installation(storage: Storage) -> DoctorCheck:
    row = await repository.find_installation(storage.db)
    if row is None:
        return passed("installation", "new: the first start writes whose database this is")
    finding = f"{row['mode']} mode, {row['clock_kind']} clock, era {row['era']}"
    if (row["mode"], row["clock_kind"]) != (storage.settings.mode, storage.clock.kind):
        return failed(
            "installation",
            f"{finding}, but the settings say {storage.settings.mode} mode",
            "set `mode` to the database's, or use another database: the two never mix",
        )
    return passed("installation", finding)


async def _check_proxies(storage: Storage) -> DoctorCheck:
    trusted = Proxies(storage.settings.http.trusted_proxies)
    peers = [
        f"{proxy.peer} ({proxy.requests} requests)"
        for proxy in await list_proxies(storage.db, storage.clock.now())
        if not trusted.is_trusted(proxy.peer)
    ]
    if not peers:
        return passed("proxies", "nobody forwards requests who is not in http.trusted_proxies")
    return warning(
        "proxies",
        f"X-Forwarded-For or Forwarded came from {', '.join(peers)} and was not believed: all"
        " clients behind such a peer count as one, for limits and failed logins",
        "if it is a proxy of yours, add it to http.trusted_proxies",
    )


async def _check_secret(storage: Storage) -> DoctorCheck:
    secrets, title = storage.master_secrets, "master secret"
    if await secrets.is_new():
        return passed(title, "none yet: the first start makes it, or takes accounts.secret")
    try:
        await secrets.check()
    except (Conflict, Invalid) as error:
        return failed(title, error.detail, "take the first node's, or `leadflood suppress rekey`")
    if count := await storage.messaging().suppressions.count_void():
        finding = f"{count} lines of the suppression list are void: they are of a lost secret"
        return warning(title, finding, "`leadflood suppress list`; add them again, remove the void")
    return passed(title, "the one that this database was begun with")


async def _check_disk(storage: Storage) -> DoctorCheck:
    if storage.server is None:
        return passed("disk", "the database is not on a disk of ours")
    quiet = msgspec.structs.replace(storage.settings.engine.disk, reserve_bytes=0)
    watch = DiskWatch(storage.server.data_folder, quiet)
    level = await watch.look()
    fix = "make room on it, or move LEADFLOOD_DATA to a larger disk"
    if level is DiskLevel.STOP:
        return failed("disk", f"{watch.trouble()}: nothing is worked on or sent", fix)
    if level is DiskLevel.LOW:
        return warning("disk", f"{watch.trouble()}: no new runs, imports and exports", fix)
    return passed("disk", "has room")


async def _check_clock(storage: Storage) -> DoctorCheck:
    guard = Guard(storage.clock, storage.settings.engine.heartbeat)
    if await guard.compare_clocks(storage.db) and (trouble := guard.clock_trouble()):
        return failed("clock", trouble, "set the wrong one right (NTP): no node starts like this")
    return passed("clock", "agrees with the database's")


async def _check_messaging(storage: Storage) -> list[DoctorCheck]:
    sending = await storage.messaging().sending.status()
    checks = [passed("sending", "released")]
    if sending.held:
        finding = f"held by {sending.by}" if sending.by else "held"
        finding += f": {sending.reason}" if sending.reason else ""
        checks = [warning("sending", finding, "when all is well: `leadflood sending release`")]
    return [*checks, check_mail(storage)]


async def _check_ledger(storage: Storage) -> DoctorCheck:
    totals = await sum_lines(storage.db)
    unresolved = [total for total in totals if total.state is LineState.UNRESOLVED]
    if not unresolved:
        return passed("ledger", "no unresolved lines")
    descriptions = ", ".join(
        f"{total.lines} {total.provider} ({format_money(total.reserved_micros, 2)})"
        for total in unresolved
    )
    fix = "compare with the provider's invoice; they count at their reserved price"
    return warning("ledger", f"unresolved: {descriptions}", fix)


async def _check_switches(storage: Storage) -> DoctorCheck:
    names = await inspection.list_providers_off(storage.db)
    if not names:
        return passed("provider switches", "all on")
    fix = "; ".join(f"`leadflood provider on {name}`" for name in names)
    return warning("provider switches", f"off: {', '.join(names)}", fix)
