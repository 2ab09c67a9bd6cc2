"""Saved mappings over HTTP."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from leadflood.domain.auth.schemas.roles import Role
from leadflood.domain.imports.service import saved_mappings

from tests.support.api import Client

pytestmark = [pytest.mark.pg, pytest.mark.usefixtures("icp_id")]
CSV = {"Content-Type": "text/csv"}


async def upload(api: Client, text: str) -> Any:
    answer = await api.post("/v1/imports", raw=text.encode(), headers=CSV)
    assert answer.status == 201, answer.body
    return answer.json


async def saved(api: Client, header: str, name: str) -> Any:
    staged = await upload(api, f"Email,{header}\n{uuid4().hex}@a.com,Ann Lee\n")
    body = {"columns": {"Email": "email", header: "full_name"}, "tags": ["fair"]}
    assert (await api.ask("PUT", f"/v1/imports/{staged['id']}/mapping", body)).status == 200
    answer = await api.post("/v1/import-mappings", {"name": name, "importId": staged["id"]})
    assert answer.status == 201, answer.body
    return answer.json


@pytest.fixture
async def own_leads_only(api: Client) -> AsyncIterator[None]:
    assert (await api.ask("PATCH", "/v1/team", {"salesRepSees": "own"})).status == 200
    try:
        yield
    finally:
        await api.ask("PATCH", "/v1/team", {"salesRepSees": "all"})


async def test_a_file_with_the_same_headers_in_another_order_is_known_again(api: Client) -> None:
    header = f"Wer {uuid4().hex}"
    mapping = await saved(api, header, "fairs")

    staged = await upload(api, f"{header.upper()},E-Mail\nBo Hi,{uuid4().hex}@a.com\n")
    other = await upload(api, f"Email,Else\n{uuid4().hex}@a.com,x\n")

    proposed = staged["savedMapping"]
    applied = await api.ask("PUT", f"/v1/imports/{staged['id']}/mapping", proposed["mapping"])
    assert (proposed["id"], other["savedMapping"]) == (mapping["id"], None)
    assert proposed["mapping"]["columns"] == {header.upper(): "full_name", "E-Mail": "email"}
    assert (applied.status, applied.json["mapping"]["tags"]) == (200, ["fair"])


async def test_a_mapping_of_the_same_name_is_replaced_and_a_deleted_one_is_gone(
    api: Client,
) -> None:
    name = uuid4().hex
    first, second = await saved(api, "Who", name), await saved(api, "Whom", name)

    listed = [each for each in (await api.get("/v1/import-mappings")).json if each["name"] == name]
    deleted = await api.ask("DELETE", f"/v1/import-mappings/{second['id']}")
    again = await api.ask("DELETE", f"/v1/import-mappings/{second['id']}")

    assert first["id"] == second["id"]
    assert [each["headers"] for each in listed] == [["Email", "Whom"]]
    assert (deleted.status, again.status) == (204, 404)


async def test_an_import_that_is_not_mapped_has_no_mapping_to_save(
    api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    staged = await upload(api, f"Email\n{uuid4().hex}@a.com\n")
    body = {"name": "none", "importId": staged["id"]}
    unmapped = await api.post("/v1/import-mappings", body)
    await api.ask("PUT", f"/v1/imports/{staged['id']}/mapping", {})
    monkeypatch.setattr(saved_mappings, "MOST_OF_OWNER", 0)

    too_many = await api.post("/v1/import-mappings", body)

    assert (unmapped.status, unmapped.problem["code"]) == (409, "imports.mapping.missing")
    assert (too_many.status, too_many.problem["code"]) == (409, "imports.mapping.too_many")


@pytest.mark.usefixtures("own_leads_only")
async def test_mappings_of_who_sees_their_own_leads_are_theirs(api: Client) -> None:
    ann, bob = await api.client_of(Role.SALES_REP), await api.client_of(Role.SALES_REP)
    header = f"Wer {uuid4().hex}"
    mapping = await saved(ann, header, "mine")

    staged = await upload(bob, f"Email,{header}\n{uuid4().hex}@a.com,x\n")
    refused = await bob.ask("DELETE", f"/v1/import-mappings/{mapping['id']}")

    assert staged["savedMapping"] is None
    assert (await bob.get("/v1/import-mappings")).json == []
    assert refused.status == 404
    assert [each["id"] for each in (await ann.get("/v1/import-mappings")).json] == [mapping["id"]]


async def test_a_saved_mapping_is_changed_and_has_to_fit_its_headers(api: Client) -> None:
    header, name, other = f"Wer {uuid4().hex}", uuid4().hex, uuid4().hex
    mapping = await saved(api, header, name)
    await saved(api, "Who", other)
    path = f"/v1/import-mappings/{mapping['id']}"
    columns = {"Email": "email", header: "company_name"}

    unfit = await api.ask("PUT", path, {"name": name, "mapping": {"columns": {"Mail": "email"}}})
    taken = await api.ask("PUT", path, {"name": other, "mapping": {"columns": columns}})
    changed = await api.ask("PUT", path, {"name": f"{name}2", "mapping": {"columns": columns}})
    staged = await upload(api, f"{header},Email\nAcme,{uuid4().hex}@a.com\n")
    unknown = await api.ask("PUT", f"/v1/import-mappings/{uuid4()}", {"name": "x", "mapping": {}})

    assert (unfit.status, unfit.problem["code"]) == (422, "leads.import.mapping")
    assert (taken.status, taken.problem["code"]) == (409, "imports.mapping.name_taken")
    assert (changed.status, changed.json["name"]) == (200, f"{name}2")
    assert staged["savedMapping"]["mapping"]["columns"][header] == "company_name"
    assert staged["savedMapping"]["id"] == mapping["id"]
    assert unknown.status == 404
