from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given, strategies as st
from leadflood.domain.auth.rules.api_keys import (
    check_new_key,
    format_api_key,
    parse_api_key,
    parse_scopes,
)
from leadflood.domain.auth.schemas.credentials import NewApiKey
from leadflood.domain.auth.schemas.roles import Permission
from leadflood.engine.errors import Invalid

NOW = datetime(2026, 1, 5, tzinfo=UTC)
HEX = st.text("0123456789abcdef", min_size=64, max_size=64)


@given(st.uuids(), HEX)
def test_a_key_is_parsed_as_it_was_formatted(key_id: UUID, secret: str) -> None:
    parts = parse_api_key(format_api_key(key_id, secret))

    assert parts is not None
    assert (parts.id, parts.secret) == (key_id, secret)


@given(st.text(max_size=120))
def test_a_text_of_another_form_is_no_key(text: str) -> None:
    parts = parse_api_key(text)

    assert parts is None or format_api_key(parts.id, parts.secret) == text


def test_a_scope_that_no_longer_exists_allows_nothing() -> None:
    assert parse_scopes(["leads:read", "moon:land"]) == {Permission.LEADS_READ}


@pytest.mark.parametrize(
    ("scopes", "expires_at", "paths"),
    [
        (frozenset({Permission.LEADS_READ}), None, []),
        (frozenset({Permission.LEADS_WRITE}), None, ["scopes"]),
        (frozenset(), NOW, ["scopes", "expiresAt"]),
    ],
)
def test_a_new_key_stays_within_its_owners_permissions_and_in_the_future(
    scopes: frozenset[Permission], expires_at: datetime | None, paths: list[str]
) -> None:
    new = NewApiKey(name="a script", scopes=scopes, expires_at=expires_at)
    refused: list[str] = []

    try:
        check_new_key(new, frozenset({Permission.LEADS_READ}), NOW)
    except Invalid as error:
        refused = [field.path for field in error.fields]

    assert refused == paths
