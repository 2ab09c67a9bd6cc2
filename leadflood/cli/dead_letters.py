"""`leadflood dead-letters`: list, show and replay dead letters; bury a hopeless job."""

from collections.abc import Sequence
from typing import Annotated, Any
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
from leadflood.cli.database_command import AsJson, require_name, terminal_user, with_storage
from leadflood.engine.errors import Invalid
from leadflood.engine.queue import dead_letters, repository
from leadflood.engine.queue.dead_letters import DeadLetter, DeadLetterFilter, Ending, Replayed
from leadflood.pipeline import STAGE_NAMES
from leadflood.wiring.storage import Storage

PAGE_SIZE = 500
app = typer.Typer(no_args_is_help=True, help="Dead letters: list, show, replay, bury.")

StageOption = Annotated[str | None, typer.Option("--stage", help="Only of this stage.")]
CodeOption = Annotated[str | None, typer.Option("--code", help="Only with this error code.")]
RunOption = Annotated[UUID | None, typer.Option("--run", help="Only of this run.")]
_ENDING_TEXTS = {
    Ending.QUEUED: "queued again",
    Ending.ALREADY_QUEUED: "already_queued: a job with its key is alive",
    Ending.RUN_CANCELLED: "refused: its run was cancelled",
    Ending.DOUBTFUL: "refused: it may have arrived; say what happened with "
    "`leadflood sending unknown resolve`",
    Ending.NOT_FOUND: "there is no such dead letter",
}


@app.command("list")
def list_letters(
    stage: StageOption = None,
    code: CodeOption = None,
    run: RunOption = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
    *,
    as_json: AsJson = False,
) -> None:
    """List dead letters, newest first."""
    letter_filter = _filter(stage, code, run)
    letters = with_storage(
        lambda storage: dead_letters.list_letters(storage.db, letter_filter, limit=limit)
    )
    if as_json:
        print_json([_summary(letter) for letter in letters])
        return
    print_table(
        ("id", "died", "stage", "code", "tries", "error"),
        [
            (
                letter.id,
                format_time(letter.died_at),
                letter.stage,
                letter.error_code,
                letter.attempts,
                letter.error[:80],
            )
            for letter in letters
        ],
    )


@app.command()
def show(letter: Annotated[UUID, typer.Argument()], *, as_json: AsJson = False) -> None:
    """Show one dead letter with its payload and the chain of its errors."""
    dead_letter = with_storage(lambda storage: dead_letters.get(storage.db, letter))
    if as_json:
        print_json(dead_letter)
        return
    for name, value in msgspec.to_builtins(dead_letter).items():
        if name != "chain":
            print_data(f"{name}: {value}")
    print_data(dead_letter.chain)


@app.command()
def replay(
    letters: Annotated[list[UUID] | None, typer.Argument()] = None,
    stage: StageOption = None,
    code: CodeOption = None,
    run: RunOption = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All that the filters leave.")] = False,
    as_json: AsJson = False,
) -> None:
    """Try dead letters again: by id, by filter, or all. Exits with 1 when one was not queued."""
    letter_filter = _filter(stage, code, run)
    if bool(letters) == (everything or letter_filter != DeadLetterFilter()):
        raise Invalid(
            "name the dead letters by id, or by --stage, --code, --run or --all", code=USAGE_ERROR
        )
    replayed = with_storage(lambda storage: _replay(storage, letters, letter_filter))
    if as_json:
        print_json(replayed)
    else:
        for result in replayed:
            print_data(f"{result.id} {_ENDING_TEXTS[result.ending]}")
    queued = sum(result.ending is Ending.QUEUED for result in replayed)
    print_message(f"{queued} of {len(replayed)} queued again")
    raise typer.Exit(0 if queued == len(replayed) else 1)


@app.command()
def bury(job: Annotated[UUID, typer.Argument()], *, as_json: AsJson = False) -> None:
    """Discard a waiting job (one that crashes its node, say): it becomes a dead letter."""
    letter = with_storage(lambda storage: _bury(storage, job))
    if as_json:
        print_json(_summary(letter))
        return
    print_data(f"{letter.id} is a dead letter now")


def _filter(stage: str | None, code: str | None, run: UUID | None) -> DeadLetterFilter:
    if stage is not None:
        require_name("--stage", stage, STAGE_NAMES)
    return DeadLetterFilter(stage=stage, error_code=code, run_id=run)


def _summary(letter: DeadLetter) -> dict[str, Any]:
    built: dict[str, Any] = msgspec.to_builtins(letter)
    del built["chain"]
    return built


async def _replay(
    storage: Storage, letters: Sequence[UUID] | None, letter_filter: DeadLetterFilter
) -> list[Replayed]:
    if letters:
        return await _replay_some(storage, letters)
    replayed: list[Replayed] = []
    before: UUID | None = None
    while True:
        page = await dead_letters.list_letters(
            storage.db, letter_filter, before=before, limit=PAGE_SIZE
        )
        if not page:
            return replayed
        before = page[-1].id
        replayed += await _replay_some(storage, [letter.id for letter in page])


async def _replay_some(storage: Storage, letter_ids: Sequence[UUID]) -> list[Replayed]:
    async with storage.db.transaction() as tx:
        replayed = await storage.messaging().dead_letters.replay(tx, letter_ids)
        count = sum(result.ending is Ending.QUEUED for result in replayed)
        await command_audit.record(storage, tx, "dead_letter.replayed", count=count)
    for stage in sorted({result.stage for result in replayed if result.ending is Ending.QUEUED}):
        await repository.notify(storage.db, stage)
    return replayed


async def _bury(storage: Storage, job_id: UUID) -> DeadLetter:
    async with storage.db.transaction() as tx:
        letter = await storage.messaging().dead_letters.bury(tx, job_id, terminal_user())
        await command_audit.record(storage, tx, "job.buried", job_id, stage=letter.stage)
    return letter
