"""`leadflood suppress`: list and change the suppression list, kept as keyed hashes."""

import sys
from typing import Annotated
from uuid import UUID

import msgspec
import typer

from leadflood.cli import command_audit
from leadflood.cli.console import format_time, print_data, print_json, print_message, print_table
from leadflood.cli.database_command import AsJson, Reason, terminal_user, with_storage
from leadflood.domain.suppressions.schemas import (
    AddedSuppression,
    Coverage,
    RekeyCounts,
    SuppressionInput,
    SuppressionKind,
    SuppressionView,
)
from leadflood.engine.db.tx import Tx
from leadflood.wiring.storage import Storage

app = typer.Typer(no_args_is_help=True, help="The suppression list: add, list, remove, rekey.")
SOURCE = "manual"
DEFAULT_REASON = "asked on the command line"


@app.command()
def add(
    kind: Annotated[SuppressionKind, typer.Argument()],
    value: Annotated[str, typer.Argument(help="The address, domain, channel or lead id.")],
    reason: Reason = "",
    expected_count: Annotated[
        int | None, typer.Option(help="A channel, a shared domain: how many leads it may cover.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Suppress an address, a domain with its subdomains, a channel or a lead.

    What reaches people who have nothing in common asks first, or needs --expected-count.
    """
    suppression = SuppressionInput(
        kind=kind, value=value, reason=reason or DEFAULT_REASON, expected_count=expected_count
    )
    if suppression.is_broad and expected_count is None and sys.stdin.isatty():
        coverage = with_storage(lambda storage: _count_covered(storage, suppression))
        typer.confirm(f"This stops {_describe(coverage)}. Go on?", abort=True, err=True)
        suppression = msgspec.structs.replace(suppression, expected_count=coverage.lead_count)
    added = with_storage(lambda storage: _add(storage, suppression))
    _print_suppression(added, "is suppressed", as_json=as_json)
    if added.lead_count is not None and added.due_send_count is not None:
        coverage = Coverage(added.lead_count, added.due_send_count)
        print_message(f"it stops {_describe(coverage)}, and whoever is found there later")


@app.command("list")
def list_suppressions(
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100, *, as_json: AsJson = False
) -> None:
    """List suppressions, newest first."""
    suppressions = with_storage(
        lambda storage: storage.messaging().suppressions.list(limit=limit), proves_secret=False
    )
    if as_json:
        print_json(suppressions)
        return
    print_table(
        ("id", "since", "kind", "hint", "state", "reason", "source", "by"),
        [
            (
                suppression.id,
                format_time(suppression.created_at),
                suppression.kind,
                suppression.hint,
                "VOID" if suppression.voided_at else "",
                suppression.reason,
                suppression.source,
                suppression.by,
            )
            for suppression in suppressions
        ],
    )


@app.command()
def rekey(
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Begin anew under this node's accounts.secret, when the former is lost; holds sending.

    Lines of leads, of channels and of whom we wrote to are kept, others are void and listed as
    such. All sessions end, and second factors go.
    """
    if not yes:
        typer.confirm(
            "Hold sending, void what cannot be hashed anew, end all sessions and remove all second"
            " factors?",
            abort=True,
            err=True,
        )
    counts = with_storage(_rekey, proves_secret=False)
    if as_json:
        print_json(counts)
        return
    print_data(
        f"sending is held; {counts.void} lines are void and {counts.kept} are kept,"
        f" {counts.opt_ins_void} opt-ins are void"
    )
    print_message(
        "`leadflood suppress list` marks the void lines: add them again, then remove them;"
        " `leadflood sending release` lets sending go. Everybody has to log in again."
    )


@app.command()
def remove(
    kind_or_id: Annotated[str, typer.Argument(metavar="KIND|ID")],
    value: Annotated[str | None, typer.Argument(help="With a kind: the value.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Remove a suppression by its id, or by kind and value."""
    key = _parse_id(kind_or_id) if value is None else (_parse_kind(kind_or_id), value)
    suppression = with_storage(lambda storage: _remove(storage, key))
    _print_suppression(suppression, "is no longer suppressed", as_json=as_json)


async def _rekey(storage: Storage) -> RekeyCounts:
    async with storage.db.transaction() as tx:
        await storage.master_secrets.adopt(tx)
        counts = await storage.messaging().rekeying.rekey(tx, terminal_user())
        await command_audit.record(
            storage, tx, "accounts.secret_replaced", kept=counts.kept, void=counts.void
        )
    return counts


async def _count_covered(storage: Storage, suppression: SuppressionInput) -> Coverage:
    async with storage.db.transaction() as tx:
        coverage = await storage.messaging().suppressions.count_covered(tx, suppression)
    return coverage or Coverage(0, 0)


def _describe(coverage: Coverage) -> str:
    return f"{coverage.lead_count} leads, and {coverage.due_send_count} sends that are due"


async def _add(storage: Storage, suppression: SuppressionInput) -> AddedSuppression:
    publisher = storage.producer()
    suppressions = storage.messaging(publisher).suppressions
    async with publisher.transaction() as publication:
        view = await suppressions.add(publication, suppression, by=terminal_user(), source=SOURCE)
        await _audit(storage, publication.tx, "suppression.added", view)
    return view


async def _remove(storage: Storage, key: UUID | tuple[SuppressionKind, str]) -> SuppressionView:
    suppressions = storage.messaging().suppressions
    suppression_id = key if isinstance(key, UUID) else (await suppressions.get(*key)).id
    async with storage.db.transaction() as tx:
        view = await suppressions.lift(tx, suppression_id, terminal_user())
        await _audit(storage, tx, "suppression.lifted", view)
    return view


async def _audit(storage: Storage, tx: Tx, action: str, view: SuppressionView) -> None:
    await command_audit.record(storage, tx, action, view.id, kind=view.kind, hint=view.hint)


def _parse_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise typer.BadParameter("write an id, or a kind and a value") from error


def _parse_kind(text: str) -> SuppressionKind:
    try:
        return SuppressionKind(text)
    except ValueError as error:
        kinds = ", ".join(SuppressionKind)
        raise typer.BadParameter(f"{text!r} is no kind: write one of {kinds}") from error


def _print_suppression(suppression: SuppressionView, outcome: str, *, as_json: bool) -> None:
    if as_json:
        print_json(suppression)
        return
    print_data(f"{suppression.kind} {suppression.hint} {outcome} ({suppression.id})")
