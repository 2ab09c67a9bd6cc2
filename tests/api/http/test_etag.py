import re
from uuid import uuid4

import pytest
from hypothesis import given, strategies as st
from leadflood.api.http.etag import NO_VERSION, is_known, read_if_match, write_etag
from leadflood.api.http.problems import HttpRefused

from tests.api.routes.test_icps import an_icp
from tests.support.api import Client

pytestmark = pytest.mark.pg


@given(st.integers(min_value=0, max_value=999_999_999), st.none() | st.binary())
def test_an_etag_is_read_back(version: int, more: bytes | None) -> None:
    etag = write_etag(version, more)

    assert read_if_match([etag]) == frozenset({version})
    assert is_known([etag], etag)
    assert is_known([f'"x", W/{etag}'], etag)


@pytest.mark.parametrize(
    ("headers", "versions"),
    [
        (["*"], None),
        ([], None),
        (['"3"'], {3}),
        (['"3" , "5"', '"7"'], {3, 5, 7}),
        ([',, "3",'], {3}),
        (['W/"3"'], {NO_VERSION}),
        (['W/"3", "4"'], {NO_VERSION, 4}),
        (['"three"'], {NO_VERSION}),
        (['""'], {NO_VERSION}),
        (['"99999999999999999999"'], {NO_VERSION}),
        (['"a,b"'], {NO_VERSION}),
    ],
)
def test_if_match_names_versions_and_weak_or_foreign_tags_none(
    headers: list[str], versions: set[int] | None
) -> None:
    read = read_if_match(headers)

    assert read == (None if versions is None else frozenset(versions))


@pytest.mark.parametrize("text", ["3", '"3', "'3'", '"3" "4"', '"3"; "4"', "", "w/3", '*, "3"'])
def test_a_malformed_if_match_is_refused(text: str) -> None:
    with pytest.raises(HttpRefused) as refused:
        read_if_match([text])

    assert refused.value.status == 400


@given(st.text(alphabet=',"W/ 3*\t', max_size=40))
def test_no_condition_is_a_bug(text: str) -> None:
    is_known([text], '"3"')
    try:
        read_if_match([text])
    except HttpRefused as refused:
        assert refused.status == 400  # noqa: PT017 - the point is that nothing else is raised


async def test_a_versioned_answer_has_an_etag_and_is_not_sent_again_unchanged(
    api: Client,
) -> None:
    created = await api.post("/v1/icps", an_icp())
    path = f"/v1/icps/{created.json['profileId']}"
    etag = (await api.get(path)).headers["ETag"]

    unchanged = await api.get(path, headers={"If-None-Match": f'"0", W/{etag}'})
    head = await api.ask("HEAD", path)
    await api.ask("PUT", path, an_icp())
    changed = await api.get(path, headers={"If-None-Match": etag})

    assert read_if_match([created.headers["ETag"]]) == read_if_match([etag]) == frozenset({1})
    assert (unchanged.status, unchanged.body, unchanged.headers["ETag"]) == (304, b"", etag)
    assert head.headers["ETag"] == etag
    assert changed.status == 200
    assert read_if_match([changed.headers["ETag"]]) == frozenset({2})


async def test_fields_are_selected_in_each_item_of_a_list(api: Client) -> None:
    await api.post("/v1/icps", an_icp())

    page = await api.get("/v1/icps?limit=1&fields=name,version,%20name")

    assert list(page.json["data"][0]) == ["name", "version"]
    assert page.json["pagination"]["limit"] == 1


async def test_an_unknown_field_is_refused_naming_those_that_exist(api: Client) -> None:
    refused = await api.get("/v1/icps?fields=name,secret")

    assert refused.status == 422
    assert refused.problem["fields"][0]["path"] == "fields"
    assert "profileId" in refused.problem["detail"]


async def test_pages_by_number_end_where_a_cursor_must_go_on(api: Client) -> None:
    too_deep = await api.get("/v1/icps?page=101&limit=100")
    contradicting = await api.get("/v1/icps?page=2&cursor=AAAA")
    last = await api.get("/v1/icps?page=100&limit=100")

    assert too_deep.status == contradicting.status == 422
    assert "nextCursor" in too_deep.problem["detail"]
    assert last.status == 200
    assert last.json["pagination"]["page"] == 100


async def test_a_cursor_of_another_sort_is_refused(api: Client) -> None:
    refused = await api.get("/v1/icps?cursor=kqVzY29yZZMF1__SmPbAawN2ztk")

    assert refused.problem["fields"][0]["path"] == "cursor"


async def test_a_request_with_a_condition_on_what_has_no_version_changes_nothing(
    api: Client,
) -> None:
    path = f"/v1/admin/dead-letters/{uuid4()}"

    refused = await api.ask("DELETE", path, headers={"If-Match": '"1"'})
    any_version = await api.ask("DELETE", path, headers={"If-Match": "*"})

    assert refused.problem["code"] == "http.condition.unknown"
    assert refused.status == 412
    assert any_version.status == 404


async def test_every_versioned_answer_is_described_with_its_etag(api: Client) -> None:
    document = (await api.get("/openapi.json")).json

    operation = document["paths"]["/v1/icps/{icpId}"]["get"]

    assert "ETag" in operation["responses"]["200"]["headers"]
    assert "304" in operation["responses"]
    assert re.fullmatch(operation["parameters"][-1]["schema"]["pattern"], '"12"')
