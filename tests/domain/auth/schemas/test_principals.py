from uuid import UUID

import pytest
from leadflood.domain.auth.schemas.principals import (
    EVERYTHING,
    Principal,
    PrincipalKind,
    Visibility,
)

ANN, BEN = UUID(int=1), UUID(int=2)


@pytest.mark.parametrize("owner", [None, ANN, str(BEN), "somebody without an account"])
def test_who_sees_everything_sees_every_lead(owner: UUID | str | None) -> None:
    assert EVERYTHING.allows(owner)
    assert EVERYTHING.owner is None
    assert not EVERYTHING.is_limited


def test_who_sees_their_own_leads_sees_no_other() -> None:
    visibility = Visibility(ANN)

    assert visibility.allows(ANN)
    assert visibility.allows(str(ANN))
    assert not visibility.allows(BEN)
    assert not visibility.allows(None)
    assert visibility.owner == str(ANN)
    assert visibility.is_limited


def test_a_principal_sees_everything_unless_it_is_narrowed() -> None:
    principal = Principal(kind=PrincipalKind.OPERATOR, name="operator", permissions=frozenset())

    assert principal.visibility == EVERYTHING
