from datetime import UTC, datetime

import pytest
from leadflood.domain.auth.schemas.links import LinkKind, OneTimeLink


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        (LinkKind.CLAIM, "/claim/000"),
        (LinkKind.INVITATION, "/register/000"),
        (LinkKind.RESET, "/register/000"),
    ],
)
def test_a_link_leads_to_the_page_of_its_kind(kind: LinkKind, path: str) -> None:
    link = OneTimeLink(kind=kind, token="0" * 3, expires_at=datetime(2026, 1, 5, tzinfo=UTC))

    assert link.path == path
