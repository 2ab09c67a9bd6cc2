"""Lead pages over HTTP: what is cached is never older than the rows."""

from typing import Any
from uuid import uuid4

import anyio
import pytest

from tests.api.test_leads import a_lead, scored
from tests.support.api import Client


@pytest.mark.pg
async def test_a_cached_page_shows_every_change_at_once(api: Client, icp_id: str) -> None:
    domain = f"d{uuid4().hex}.example"
    lead_id = (await api.post("/v1/leads", a_lead(icp_id, email=f"a@{domain}"))).json["leadId"]
    await scored(api, lead_id)
    path = f"/v1/leads/{lead_id}"
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
    """Read a page twice: the second time from the cache."""
    first, second = await api.get(path), await api.get(path)
    assert first.status == second.status == 200
    return second.json
