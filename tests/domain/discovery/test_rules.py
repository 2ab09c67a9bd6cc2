from uuid import UUID

import msgspec
import pytest
from hypothesis import given, strategies as st
from leadflood.contracts.ports.people import PeoplePage, PeopleQuery
from leadflood.domain.discovery.rules import (
    MAX_REQUEST_CHARS,
    has_next_page,
    hash_request,
    mask_request,
)
from leadflood.domain.discovery.schemas import DiscoveryRun, DiscoveryState, SearchRequest
from leadflood.domain.runs.schemas import RunLimits

REQUEST = SearchRequest(
    icp_id=UUID(int=1), kind="search", provider="apollo", max_leads=5, limits=RunLimits()
)


@pytest.mark.parametrize(
    "change", [{"provider": "pdl"}, {"max_leads": 6}, {"kind": "odd"}, {"icp_id": UUID(int=2)}]
)
def test_another_request_has_another_hash(change: dict[str, object]) -> None:
    changed = msgspec.structs.replace(REQUEST, **change)

    assert hash_request(changed, RunLimits()) != hash_request(REQUEST, RunLimits())


def test_the_order_of_providers_does_not_change_the_hash() -> None:
    forward, backward = RunLimits(providers=("a", "b")), RunLimits(providers=("b", "a"))

    assert hash_request(REQUEST, forward) == hash_request(REQUEST, backward)
    assert hash_request(REQUEST, forward) != hash_request(REQUEST, RunLimits(providers=()))


@given(st.text())
def test_a_request_is_never_stored_with_its_secret(secret: str) -> None:
    body = msgspec.json.encode({"api_key": secret + "hush", "page": 1}).decode()

    masked = mask_request(body)

    assert "hush" not in masked
    assert masked.endswith('"page":1}')


def test_a_long_request_is_cut() -> None:
    masked = mask_request("x" * (MAX_REQUEST_CHARS + 5))

    assert masked == "x" * MAX_REQUEST_CHARS + "… (5 more characters)"


@pytest.mark.parametrize(
    ("next_cursor", "lead_count", "is_wanted"),
    [("2", 4, True), (None, 4, False), ("1", 4, False), ("2", 5, False)],
)
def test_another_page_needs_a_new_cursor_and_room_for_leads(
    next_cursor: str | None, lead_count: int, *, is_wanted: bool
) -> None:
    run = DiscoveryRun(
        id=UUID(int=1),
        icp_id=UUID(int=2),
        provider="apollo",
        query=PeopleQuery(),
        state=DiscoveryState.RUNNING,
        cursor="1",
        next_page=2,
        next_position=1,
        wanted_count=5,
        lead_count=0,
    )

    assert (
        has_next_page(run, PeoplePage(people=(), next_cursor=next_cursor), lead_count) is is_wanted
    )
