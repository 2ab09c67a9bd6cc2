"""`leadflood mappings`: saved mappings, by which the files of a source are read."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated
from uuid import UUID

import msgspec
import typer

from leadflood.cli.console import USAGE_ERROR, format_time, print_data, print_json, print_table
from leadflood.cli.database_command import AsJson, terminal_user, with_storage
from leadflood.domain.auth.schemas.principals import EVERYTHING
from leadflood.domain.imports.schemas.mappings import Importer, ImportMapping
from leadflood.domain.imports.schemas.saved_mappings import (
    NewSavedMapping,
    SavedMapping,
    SavedMappingInput,
)
from leadflood.domain.imports.service.saved_mappings import SavedMappings
from leadflood.engine.errors import Invalid
from leadflood.wiring.storage import Storage

app = typer.Typer(no_args_is_help=True, help="Saved mappings: list, show, save, set, remove.")
MappingId = Annotated[UUID, typer.Argument(metavar="MAPPING")]


@app.command("list")
def list_mappings(*, as_json: AsJson = False) -> None:
    """List the saved mappings by name."""
    mappings = with_storage(_list, proves_secret=False)
    if as_json:
        print_json(mappings)
        return
    print_table(
        ("id", "name", "changed", "by", "headers"),
        [
            (
                mapping.id,
                mapping.name,
                format_time(mapping.updated_at),
                mapping.made_by,
                ", ".join(mapping.headers),
            )
            for mapping in mappings
        ],
    )


@app.command()
def show(mapping_id: MappingId) -> None:
    """Show how files are read by a mapping, as the JSON that `set` takes."""
    saved = with_storage(lambda storage: _get(storage, mapping_id), proves_secret=False)
    print_json(saved.mapping)


@app.command()
def save(
    import_id: Annotated[UUID, typer.Argument(metavar="IMPORT", help="It has been mapped.")],
    name: Annotated[str, typer.Option(help="The source; one of the same name is replaced.")],
) -> None:
    """Save how an import is read, under the name of its source."""
    new = NewSavedMapping(name=_require_name(name), import_id=import_id)
    saved = with_storage(lambda storage: _save(storage, new), proves_secret=False)
    print_data(f"{saved.name} is saved ({saved.id})")


@app.command("set")
def set_mapping(
    mapping_id: MappingId,
    file: Annotated[Path, typer.Argument(help="A mapping as JSON, as `show` prints it.")],
    name: Annotated[str, typer.Option(help="Another name.")] = "",
) -> None:
    """Change how files are read by a mapping; it has to fit the headers that are kept."""
    mapping = _read(file)
    saved = with_storage(
        lambda storage: _set(storage, mapping_id, mapping, name), proves_secret=False
    )
    print_data(f"{saved.name} is changed ({saved.id})")


@app.command()
def remove(mapping_id: MappingId) -> None:
    """Remove a mapping; what was imported by it stays."""
    with_storage(lambda storage: _remove(storage, mapping_id), proves_secret=False)
    print_data(f"{mapping_id} is removed")


def _service(storage: Storage) -> SavedMappings:
    return SavedMappings(storage.db, storage.ids, storage.clock)


async def _list(storage: Storage) -> Sequence[SavedMapping]:
    return await _service(storage).list(EVERYTHING)


async def _get(storage: Storage, mapping_id: UUID) -> SavedMapping:
    return await _service(storage).get(mapping_id, EVERYTHING)


async def _save(storage: Storage, new: NewSavedMapping) -> SavedMapping:
    async with storage.db.transaction() as tx:
        return await _service(storage).save(tx, new, Importer(by=terminal_user()))


async def _set(
    storage: Storage, mapping_id: UUID, mapping: ImportMapping, name: str
) -> SavedMapping:
    new_name = _require_name(name) if name else (await _get(storage, mapping_id)).name
    async with storage.db.transaction() as tx:
        return await _service(storage).replace(
            tx,
            mapping_id,
            SavedMappingInput(name=new_name, mapping=mapping),
            Importer(by=terminal_user()),
        )


async def _remove(storage: Storage, mapping_id: UUID) -> None:
    async with storage.db.transaction() as tx:
        await _service(storage).delete(tx, mapping_id, EVERYTHING)


def _require_name(name: str) -> str:
    if not name.strip() or "\x00" in name or len(name) > 200:  # noqa: PLR2004 - as the API takes it
        raise typer.BadParameter("write a name of at most 200 characters")
    return name


def _read(file: Path) -> ImportMapping:
    try:
        return msgspec.json.decode(file.read_bytes(), type=ImportMapping)
    except (OSError, msgspec.DecodeError) as error:
        raise Invalid(f"{file}: {error}: write what `show` prints", code=USAGE_ERROR) from error
