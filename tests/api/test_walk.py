"""The README's way from a fresh installation to a scored lead, as it stands there."""

import re
from pathlib import Path

import anyio
import msgspec
import pytest
from leadflood.engine.db.pool import Settings

from tests.cli.test_serve import lines_until, serving

pytestmark = pytest.mark.pg
README = Path(__file__).parents[2] / "README.md"


def walk() -> str:
    text = README.read_text("utf-8").partition("<!-- the walk through -->")[2]
    return text.partition("<!-- end -->")[0].replace("```sh", "").replace("```", "")


async def test_the_readmes_commands_lead_from_the_claim_link_to_a_scored_lead(
    tmp_path: Path, database_settings: Settings
) -> None:
    async with serving(tmp_path, database_settings) as (_, told):
        link = re.search(r"(http://\S+)/claim/(\S+)", "".join(await lines_until(told, "/claim/")))
        assert link is not None
        script = walk().replace("http://127.0.0.1:5050", link[1])

        ended = await anyio.run_process(
            ["bash", "-euo", "pipefail", "-c", f"CLAIM={link[2]}\n{script}"]
        )

    *_, lead, page = re.split(r"(?<=\})(?=\{)", ended.stdout.decode())
    shown = msgspec.json.decode(lead)
    assert shown["values"]["email"] == "ada@acme.com"
    parts = [part["pointsMilli"] for part in shown["score"]["contributions"]]
    assert sum(parts) == shown["score"]["scoreMilli"]
    assert [one["id"] for one in msgspec.json.decode(page)["data"]] == [shown["id"]]
