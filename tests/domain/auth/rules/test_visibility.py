from uuid import UUID

import pytest
from leadflood.domain.auth.rules.visibility import visibility_of
from leadflood.domain.auth.schemas.principals import EVERYTHING, Visibility
from leadflood.domain.auth.schemas.roles import Role
from leadflood.domain.auth.schemas.users import SalesRepSees

ANN = UUID(int=1)


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.SALES_REP])
@pytest.mark.parametrize("setting", SalesRepSees)
def test_only_a_sales_rep_is_ever_narrowed(role: Role, setting: SalesRepSees) -> None:
    assert visibility_of(role, setting, ANN) == EVERYTHING


def test_a_sales_rep_sees_what_the_team_wants() -> None:
    assert visibility_of(Role.SALES_REP, SalesRepSees.OWN, ANN) == Visibility(ANN)
    assert visibility_of(Role.SALES_REP, SalesRepSees.ALL, ANN) == EVERYTHING
