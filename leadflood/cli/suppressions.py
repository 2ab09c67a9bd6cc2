"""`leadflood suppress`: list and change the suppression list, kept as keyed hashes."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated
from uuid import UUID

import msgspec
import typer

from leadflood.cli import command_audit
from leadflood.cli.console import (
    USAGE_ERROR,
    format_time,
    print_data,
    print_json,
    print_message,
    print_table,
)
from leadflood.cli.database_command import AsJson, Reason, terminal_user, with_storage
from leadflood.domain.auth.schemas.principals import EVERYTHING
from leadflood.domain.imports.service.suppression_files import (
    SuppressionFile,
    read_suppression_file,
)
from leadflood.domain.suppressions.schemas import (
    AddedLines,
    AddedSuppression,
    Coverage,
    LiftedOfImport,
    RekeyCounts,
    SuppressionInput,
    SuppressionKind,
    SuppressionView,
    WrittenLine,
)
from leadflood.domain.suppressions.service.batches import LineAuthor
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import Invalid
from leadflood.wiring.storage import Storage

app = typer.Typer(
    no_args_is_help=True,
    help="The suppression list: add, import, export, list, remove, lift-import, rekey.",
)
SOURCE = "manual"
BATCH_LINES = 10_000
SHOWN_PROBLEMS = 20
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


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="A list, a mail tool's table, or an export.")],
    reason: Reason = "",
    sheet: Annotated[str | None, typer.Option(help="The sheet of a workbook.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Suppress all addresses, domains and numbers of a file: CSV, text or workbook.

    Of a table with columns of consent only the rows that say no are meant.
    """
    try:
        with file.open("rb") as handle:
            read = read_suppression_file(handle, sheet)
    except OSError as error:
        raise Invalid(
            f"cannot read {file} ({error.strerror or error}): give the path of a file",
            code=USAGE_ERROR,
        ) from error
    answers = with_storage(lambda storage: _add_many(storage, read.lines, file.name, reason))
    problems = [item.problem for answer in answers for item in answer.items if item.problem]
    counts = {
        "added": sum(answer.added for answer in answers),
        "known": sum(answer.known for answer in answers),
        "refused": len(problems),
        "unmarked": read.unmarked_count,
    }
    if as_json:
        print_json({**counts, "problems": problems})
    else:
        _print_import(file, read, counts, problems)
    if problems:
        raise typer.Exit(1)


def _print_import(
    file: Path, read: SuppressionFile, counts: dict[str, int], problems: Sequence[str]
) -> None:
    if read.column:
        print_message(f"read:    column {read.column!r} of {file.name}")
    if read.unmarked_count:
        print_message(f"left out: {read.unmarked_count} rows whose columns of consent say no such")
    for problem in problems[:SHOWN_PROBLEMS]:
        print_message(f"refused: {problem}")
    print_data(
        f"{counts['added']} are suppressed now, {counts['known']} were before,"
        f" {counts['refused']} are refused"
    )


@app.command()
def export(
    output: Annotated[
        Path | None, typer.Option(help="Where the CSV goes; default: to the terminal.")
    ] = None,
) -> None:
    """Export the list as CSV, which `suppress import` reads again.

    Only keyed hashes are kept: a line has its value where a lead has the address, and else its
    hash, which counts under the same master secret alone.
    """
    raw = with_storage(_export)
    if output is None:
        print_data(raw.decode().rstrip("\r\n"))
        return
    output.write_bytes(raw)
    print_message(f"written: {output}")


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


@app.command("lift-import")
def lift_import(
    import_id: Annotated[UUID, typer.Argument(help="The import; of `leadflood run` its run.")],
    reason: Annotated[str, typer.Option(help="Why; it stands in the audit record.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Take off the list what the file of an import alone says: its columns were read wrong.

    What a person, a link, a provider or another file says too stays.
    """
    if not reason.strip():
        raise typer.BadParameter("say why, for the one who reads the record later")
    lifted = with_storage(lambda storage: _lift_import(storage, import_id, reason))
    if as_json:
        print_json(lifted)
        return
    print_data(
        f"{lifted.lifted} lines are lifted; {lifted.kept} stay, for somebody or something else"
        " says them too"
    )


async def _lift_import(storage: Storage, import_id: UUID, reason: str) -> LiftedOfImport:
    """Lift all lines of an import, a transaction for so many."""
    lifts = storage.messaging().import_lifts
    lifted = kept = 0
    while True:
        async with storage.db.transaction() as tx:
            part = await lifts.lift(tx, import_id, EVERYTHING, terminal_user())
            await command_audit.record(
                storage,
                tx,
                "suppression.lifted_import",
                import_id,
                reason=reason,
                lifted=part.lifted,
                kept=part.kept,
            )
        lifted, kept = lifted + part.lifted, kept + part.kept
        if part.is_complete:
            return LiftedOfImport(lifted=lifted, kept=kept, is_complete=True)


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


async def _add_many(
    storage: Storage, lines: Sequence[WrittenLine], name: str, reason: str
) -> list[AddedLines]:
    """Add lines, a transaction for so many; what is in stays in if a later part fails."""
    publisher = storage.producer()
    batches = storage.messaging(publisher).suppression_batches
    author = LineAuthor(by=terminal_user(), source=f"file {name}", reason=reason or DEFAULT_REASON)
    answers = []
    for start in range(0, len(lines), BATCH_LINES):
        async with publisher.transaction() as publication:
            answer = await batches.add(publication, lines[start : start + BATCH_LINES], author)
            await command_audit.record(
                storage,
                publication.tx,
                "suppression.added_many",
                added=answer.added,
                known=answer.known,
                refused=answer.refused,
            )
        answers.append(answer)
    return answers


async def _export(storage: Storage) -> bytes:
    exports = storage.messaging().suppression_exports
    pieces = [piece async for piece in exports.export(command_audit.terminal_actor())]
    return b"".join(pieces)


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
