"""Visibility: which leads a role sees. Pure."""

from uuid import UUID

from leadflood.domain.auth.schemas.principals import EVERYTHING, Visibility
from leadflood.domain.auth.schemas.roles import Role
from leadflood.domain.auth.schemas.users import SalesRepSees


def visibility_of(role: Role, sales_rep_sees: SalesRepSees, user_id: UUID) -> Visibility:
    """Return what a user sees: a SALES_REP only their own leads, when the team wants it so."""
    if role is Role.SALES_REP and sales_rep_sees is SalesRepSees.OWN:
        return Visibility(user_id)
    return EVERYTHING
