"""`leadflood duplicates`: leads that may be one person, to merge or to tell apart."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

import typer

from leadflood.cli import command_audit
from leadflood.cli.console import print_data, print_json, print_table
from leadflood.cli.database_command import AsJson, terminal_user, with_storage
from leadflood.contracts.values import FieldName
from leadflood.domain.auth.schemas.principals import EVERYTHING, Editor
from leadflood.domain.duplicates.schemas import (
    DuplicateFilter,
    DuplicateLead,
    DuplicateState,
    DuplicateView,
)
from leadflood.domain.leads.schemas.events import LeadMerged
from leadflood.wiring.storage import Storage

app = typer.Typer(no_args_is_help=True, help="Possible duplicates: list, merge, tell apart.")
DuplicateId = Annotated[UUID, typer.Argument(metavar="DUPLICATE")]
_SHOWN = (FieldName.FULL_NAME, FieldName.EMAIL, FieldName.PHONE, FieldName.COMPANY_NAME)


@app.command("list")
def list_duplicates(
    state: Annotated[DuplicateState, typer.Option()] = DuplicateState.OPEN,
    limit: Annotated[int, typer.Option(min=1, max=1_000)] = 50,
    *,
    as_json: AsJson = False,
) -> None:
    """List leads that may be one, the likeliest first."""
    duplicates = with_storage(lambda storage: _list(storage, state, limit), proves_secret=False)
    if as_json:
        print_json(duplicates)
        return
    print_table(
        ("id", "score", "why", "older lead", "younger lead"),
        [
            (
                duplicate.id,
                f"{duplicate.score:.2f}",
                ", ".join(duplicate.reasons),
                _describe(duplicate.lead),
                _describe(duplicate.other),
            )
            for duplicate in duplicates
        ],
    )


@app.command()
def merge(duplicate_id: DuplicateId) -> None:
    """Merge two leads that are one person; the older one stands for both."""
    event = with_storage(lambda storage: _merge(storage, duplicate_id), proves_secret=False)
    print_data(f"lead {event.lead_id} is lead {event.survivor_id} now")


@app.command()
def different(duplicate_id: DuplicateId) -> None:
    """Say that two leads are two people; it is remembered for good."""
    with_storage(lambda storage: _tell_apart(storage, duplicate_id), proves_secret=False)
    print_data(f"the leads of {duplicate_id} are two people")


async def _list(storage: Storage, state: DuplicateState, limit: int) -> Sequence[DuplicateView]:
    wanted = DuplicateFilter(state=state)
    return await storage.duplicates.list(storage.db, wanted, EVERYTHING, None, limit)


async def _merge(storage: Storage, duplicate_id: UUID) -> LeadMerged:
    editor = Editor(by=terminal_user())
    async with storage.producer().transaction() as publication:
        event = await storage.duplicates.merge(publication.tx, duplicate_id, editor)
        await publication.publish([event])
        await command_audit.record(
            storage,
            publication.tx,
            "lead.merged",
            event.lead_id,
            survivor_id=str(event.survivor_id),
        )
    return event


async def _tell_apart(storage: Storage, duplicate_id: UUID) -> None:
    editor = Editor(by=terminal_user())
    async with storage.producer().transaction() as publication:
        event = await storage.duplicates.tell_apart(publication.tx, duplicate_id, editor)
        await publication.publish([event])
        await command_audit.record(
            storage,
            publication.tx,
            "lead.told_apart",
            event.lead_id,
            duplicate_id=str(duplicate_id),
        )


def _describe(lead: DuplicateLead) -> str:
    return " · ".join(str(lead.values[field]) for field in _SHOWN if field in lead.values)
