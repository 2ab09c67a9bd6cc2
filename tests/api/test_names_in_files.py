"""Names, companies' pages and titles in files, from the upload to the draft."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.api.test_consent import import_file
from tests.support.api import Client
from tests.support.cli import CSV_DATA
from tests.support.messaging import World

pytestmark = pytest.mark.pg


def read_messy(path: str, tag: str) -> bytes:
    raw = (CSV_DATA / "messy_leads" / path).read_bytes()
    return raw.replace(b"-t0", f"-{tag}".encode()).replace(b" T0", f" {tag}".encode())


async def import_leads(api: Client, path: str, tag: str) -> list[Mapping[str, Any]]:
    """Import a file; return its leads, as they were created."""
    done = await import_file(api, read_messy(path, tag), tags=[tag])
    assert done["counts"]["bad"] == 0, done
    listed = (await api.get(f"/v1/leads?tag={tag}&limit=50")).json["data"]
    shown = [(await api.get(f"/v1/leads/{lead['id']}")).json for lead in listed]
    return sorted(shown, key=lambda lead: lead["id"])


async def greetings_of(api: Client, world: World, leads: list[Mapping[str, Any]]) -> list[str]:
    """Draft a text to each lead; return the first line of each."""
    run_id = await world.run("hold")
    await world.drafted([UUID(lead["id"]) for lead in leads], run_id, await world.icp())
    messages = (await api.get(f"/v1/messages?runId={run_id}&limit=50")).json["data"]
    by_lead = {message["leadId"]: message for message in messages}
    return [
        (await api.get(f"/v1/messages/{by_lead[lead['id']]['id']}"))
        .json["message"]["body"]
        .partition("\n")[0]
        for lead in leads
    ]


async def test_somebody_of_whom_the_whole_name_is_known_is_greeted_by_the_first(
    api: Client, world: World
) -> None:
    [lead] = await import_leads(api, "k14_full_name_only.csv", uuid4().hex[:8])

    assert {"full_name": "Ada Berg", "first_name": "Ada", "last_name": "Berg"}.items() <= (
        lead["values"].items()
    )
    confidence = {value["field"]: value["confidence"] for value in lead["provenance"]}
    assert confidence["first_name"] == 0.7 < confidence["full_name"]
    assert await greetings_of(api, world, [lead]) == ["Hi Ada,"]


async def test_nobody_is_greeted_by_what_stands_where_a_name_was_not_known(
    api: Client, world: World
) -> None:
    leads = await import_leads(api, "k05_placeholder_names.csv", uuid4().hex[:8])

    greetings = await greetings_of(api, world, leads)

    assert len(leads) == 3
    assert set(greetings) <= {"Hi,", ""}


async def test_pages_on_shared_hosts_are_nobody_s_domain_and_join_no_companies(
    api: Client,
) -> None:
    tag = uuid4().hex[:8]

    leads = await import_leads(api, "k04_hosted_pages.csv", tag)

    values = [lead["values"] for lead in leads]
    assert len(leads) == 4
    assert all("company_domain" not in each for each in values)
    assert sorted(each["company_page"] for each in values) == [
        f"https://facebook.com/cafeaurora-{tag}",
        f"https://facebook.com/cafebrann-{tag}",
        f"https://sites.google.com/view/cato-{tag}",
        f"https://sites.google.com/view/dis-{tag}",
    ]


async def test_a_column_of_salutations_is_no_column_of_titles(api: Client) -> None:
    [lead] = await import_leads(api, "k11_title_is_salutation.csv", uuid4().hex[:8])

    assert lead["values"]["title"] == "COO"
