"""`leadflood dead-letters`: look at what was given up, try it again, give a hopeless job up."""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

import msgspec
import typer

from leadflood.app import STAGE_NAMES, Storage
from leadflood.cli.console import USAGE, print_data, print_json, say
from leadflood.cli.database_command import AsJson, one_of, print_table, who, with_storage
from leadflood.domain.leads import store as leads
from leadflood.domain.leads.schemas import LeadStatus
from leadflood.domain.messaging import store as messaging
from leadflood.domain.messaging.schemas import IntentState
from leadflood.domain.messaging.stage import SendStage
from leadflood.engine.errors import Invalid
from leadflood.engine.queue import dead_letters, repository
from leadflood.engine.queue.dead_letters import DeadLetter, DeadLetterFilter, Ending, Replayed

PAGE = 500
BURIED = "engine.buried"
app = typer.Typer(no_args_is_help=True, help="What was given up: list, show, replay, bury.")

StageOption = Annotated[str | None, typer.Option("--stage", help="Only of this stage.")]
CodeOption = Annotated[str | None, typer.Option("--code", help="Only with this error code.")]
RunOption = Annotated[UUID | None, typer.Option("--run", help="Only of this run.")]
_WORDS = {
    Ending.QUEUED: "queued again",
    Ending.ALREADY_QUEUED: "already_queued: a job with its key is alive",
    Ending.RUN_CANCELLED: "refused: its run was cancelled",
    Ending.DOUBTFUL: "refused: it may have arrived; say what happened with "
    "`leadflood sending unknown resolve`",
    Ending.NOT_FOUND: "there is no such dead letter",
}


class Subject(msgspec.Struct, frozen=True):
    """What a payload may name."""

    lead_id: UUID | None = None
    intent_id: UUID | None = None


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
    wanted = _filter(stage, code, run)
    found = with_storage(lambda one: dead_letters.list_letters(one.db, wanted, limit=limit))
    if as_json:
        print_json([_brief(letter) for letter in found])
        return
    print_table(
        ("id", "died", "stage", "code", "tries", "error"),
        [
            (one.id, f"{one.died_at:%Y-%m-%d %H:%M}", one.stage, one.error_code, one.attempts,
             one.error[:80])
            for one in found
        ],
    )  # fmt: skip


@app.command()
def show(letter: Annotated[UUID, typer.Argument()], *, as_json: AsJson = False) -> None:
    """Show one dead letter with its payload and the chain of its errors."""
    found = with_storage(lambda one: dead_letters.get(one.db, letter))
    if as_json:
        print_json(found)
        return
    for name, value in msgspec.to_builtins(found).items():
        if name != "chain":
            print_data(f"{name}: {value}")
    print_data(found.chain)


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
    wanted = _filter(stage, code, run)
    if bool(letters) == (everything or wanted != DeadLetterFilter()):
        raise Invalid(
            "name the dead letters by id, or by --stage, --code, --run or --all", code=USAGE
        )
    ended = with_storage(lambda one: _replay(one, letters, wanted))
    if as_json:
        print_json(ended)
    else:
        for one in ended:
            print_data(f"{one.id} {_WORDS[one.ending]}")
    queued = sum(one.ending is Ending.QUEUED for one in ended)
    say(f"{queued} of {len(ended)} queued again")
    raise typer.Exit(0 if queued == len(ended) else 1)


@app.command()
def bury(job: Annotated[UUID, typer.Argument()], *, as_json: AsJson = False) -> None:
    """Give a waiting job up (one that crashes its node, say): it becomes a dead letter."""
    letter = with_storage(lambda one: _bury(one, job))
    if as_json:
        print_json(_brief(letter))
        return
    print_data(f"{letter.id} is a dead letter now")


def _filter(stage: str | None, code: str | None, run: UUID | None) -> DeadLetterFilter:
    if stage is not None:
        one_of("--stage", stage, STAGE_NAMES)
    return DeadLetterFilter(stage=stage, error_code=code, run_id=run)


def _brief(letter: DeadLetter) -> dict[str, Any]:
    built: dict[str, Any] = msgspec.to_builtins(letter)
    del built["chain"]
    return built


async def _replay(
    storage: Storage, letters: Sequence[UUID] | None, wanted: DeadLetterFilter
) -> list[Replayed]:
    if letters:
        return await _replay_some(storage, letters)
    ended: list[Replayed] = []
    before: UUID | None = None
    while True:
        page = await dead_letters.list_letters(storage.db, wanted, before=before, limit=PAGE)
        if not page:
            return ended
        before = page[-1].id
        ended += await _replay_some(storage, [one.id for one in page])


async def _replay_some(storage: Storage, letter_ids: Sequence[UUID]) -> list[Replayed]:
    doubtful = await _find_doubtful(storage, letter_ids)
    async with storage.db.transaction() as tx:
        ended = await dead_letters.replay(
            tx, letter_ids, storage.ids, storage.clock.now(), doubtful
        )
    for stage in sorted({one.stage for one in ended if one.ending is Ending.QUEUED}):
        await repository.notify(storage.db, stage)
    return ended


async def _find_doubtful(storage: Storage, letter_ids: Sequence[UUID]) -> list[UUID]:
    """Find the sends of which nobody knows whether they arrived."""
    intent_of: dict[UUID, UUID] = {}
    for letter_id in letter_ids:
        row = await storage.db.fetch_one(repository.SQL.find_dead_letter, id=letter_id)
        if row is not None and row["stage"] == SendStage.name:
            subject = _subject_of(row["payload"])
            if subject.intent_id is not None:
                intent_of[letter_id] = subject.intent_id
    intents = await messaging.find_intents(storage.db, intent_of.values())
    return [
        letter_id
        for letter_id, intent_id in intent_of.items()
        if intent_id in intents
        and intents[intent_id].state in {IntentState.UNKNOWN, IntentState.SENDING}
    ]


async def _bury(storage: Storage, job_id: UUID) -> DeadLetter:
    """Bury, and say of its lead that it has failed: nobody else will."""
    now = storage.clock.now()
    async with storage.db.transaction() as tx:
        letter = await dead_letters.bury(tx, job_id, who(), now)
        lead_id = _subject_of(letter.payload).lead_id
        if lead_id is not None and not letter.stage.startswith("message."):
            await leads.set_status(tx, [lead_id], LeadStatus.FAILED, now, BURIED)
    return letter


def _subject_of(payload: str) -> Subject:
    try:
        return msgspec.json.decode(payload, type=Subject)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return Subject()
