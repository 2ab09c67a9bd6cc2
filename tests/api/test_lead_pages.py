"""Pages in memory: true or read anew, never more than there is room for."""

from typing import Any
from uuid import UUID, uuid4

import anyio
import msgspec
import pytest
from leadflood.api.lead_detail import LeadDetail
from leadflood.api.lead_pages import LeadPages

from tests.api.test_leads import a_lead, scored
from tests.support.api import Client

IDS = [UUID(int=number) for number in range(1, 6)]


def a_page(lead_id: UUID, source: str = "api") -> LeadDetail:
    shown = {
        field.encode_name: None for field in msgspec.structs.fields(LeadDetail)
    } | {
        "id": lead_id, "version": 1, "status": "new", "source": source, "values": {},
        "provenance": [], "keys": [], "merged": [], "records": [], "messages": [], "optIns": [],
        "costMicros": 0, "tags": [],
        "createdAt": "2026-01-01T00:00:00Z", "updatedAt": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    return msgspec.convert(shown, LeadDetail, strict=False)


def test_a_page_is_kept_for_as_long_as_its_mark_is_the_same() -> None:
    pages = LeadPages()
    pages.keep({IDS[0]: "a"}, {IDS[0]: a_page(IDS[0])})

    same, changed = pages.find({IDS[0]: "a"})
    other, reread = pages.find({IDS[0]: "b"})

    assert (list(same), changed) == ([IDS[0]], [])
    assert (other, reread) == ({}, [IDS[0]])
    assert msgspec.json.encode(same[IDS[0]].body) == msgspec.json.encode(a_page(IDS[0]))


def test_a_page_that_is_written_anew_takes_the_place_of_the_old_one() -> None:
    pages = LeadPages()
    pages.keep({IDS[0]: "a"}, {IDS[0]: a_page(IDS[0])})

    pages.keep({IDS[0]: "b"}, {IDS[0]: a_page(IDS[0], "csv")})

    found, _ = pages.find({IDS[0]: "b"})
    assert found[IDS[0]].lead.source == "csv"
    assert pages.find({IDS[0]: "a"}) == ({}, [IDS[0]])


def test_those_kept_longest_make_room() -> None:
    room = 2 * len(msgspec.json.encode(a_page(IDS[0])))
    pages = LeadPages(room)
    marks = dict.fromkeys(IDS, "a")

    for one in IDS:
        pages.keep(marks, {one: a_page(one)})

    found, changed = pages.find(marks)
    assert list(found) == IDS[-2:]
    assert changed == IDS[:-2]


@pytest.mark.pg
async def test_a_page_in_memory_shows_every_change_at_once(api: Client, icp_id: str) -> None:
    domain = f"d{uuid4().hex}.example"
    made = (await api.post("/v1/leads", a_lead(icp_id, email=f"a@{domain}"))).json["leadId"]
    await scored(api, made)
    path = f"/v1/leads/{made}"
    first = await read(api, path)

    tagged = await api.ask("PUT", f"{path}/tags/hot")
    version = (await read(api, path))["version"]
    of_colleague = a_lead(icp_id, email=f"b@{domain}", fullName="Bo Kim", companyIndustry="Mining")
    await api.post("/v1/leads", of_colleague)
    scores = (await read(api, path))["score"]["runId"]
    again = await api.post(f"{path}/score", {})
    with anyio.fail_after(10):
        while (await read(api, path))["score"]["runId"] == scores:
            await anyio.lowlevel.checkpoint()

    assert (tagged.status // 100, again.status // 100) == (2, 2)
    assert version > first["version"]
    assert (await read(api, path))["values"]["company_industry"] == "Mining"
    assert (await api.ask("DELETE", path)).status // 100 == 2
    assert (await api.get(path)).status == 404


async def read(api: Client, path: str) -> Any:
    """Read a page twice: the second time it is in memory."""
    first, second = await api.get(path), await api.get(path)
    assert first.status == second.status == 200
    return second.json
