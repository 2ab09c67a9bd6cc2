import json
from pathlib import Path
from uuid import UUID

from leadflood.domain.imports.repository import saved_mappings
from leadflood.domain.imports.rules.file_columns import columns_of_headers
from leadflood.domain.imports.rules.fingerprints import fingerprint_of
from leadflood.domain.imports.schemas.column_fields import ColumnField
from leadflood.domain.imports.schemas.mappings import ImportMapping
from leadflood.domain.imports.schemas.saved_mappings import SavedMapping
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.db.pool import Database
from tests.cli.conftest import OnDatabase
from tests.support.cli import Cli


async def add(database: Database) -> None:
    headers = ("Email", "Wer")
    columns = {"Email": ColumnField.EMAIL, "Wer": ColumnField.FULL_NAME}
    saved = SavedMapping(
        id=UUID(int=7),
        name="fairs",
        headers=headers,
        mapping=ImportMapping(columns=dict(columns)),
        owner=None,
        made_by="ann",
        updated_at=REAL_TIME.now(),
    )
    async with database.transaction() as tx:
        fingerprint = fingerprint_of(columns_of_headers(headers))
        await saved_mappings.record(tx, saved, fingerprint, REAL_TIME.now())


def test_mappings_are_listed_shown_changed_and_removed(
    cli: Cli, on_database: OnDatabase, tmp_path: Path
) -> None:
    on_database(add)
    file = tmp_path / "mapping.json"

    (listed,) = cli("mappings", "list", "--json").json
    shown = json.loads(cli("mappings", "show", listed["id"]).out)
    file.write_text(json.dumps({**shown, "tags": ["fair"]}))
    changed = cli("mappings", "set", listed["id"], file, "--name", "all fairs")
    (after,) = cli("mappings", "list", "--json").json
    file.write_text('{"columns": {"Mail": "email"}}')
    unfit = cli("mappings", "set", listed["id"], file)
    removed = cli("mappings", "remove", listed["id"])

    assert shown["columns"] == {"Email": "email", "Wer": "full_name"}
    assert (changed.code, after["name"], after["mapping"]["tags"]) == (0, "all fairs", ["fair"])
    assert (unfit.code, "no such column" in unfit.err) == (1, True)
    assert removed.code == 0
    assert cli("mappings", "list", "--json").json == []
    assert cli("mappings", "save", UUID(int=1), "--name", "x").code == 1
