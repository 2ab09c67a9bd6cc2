"""Rules of users: which states follow each other, and who may get which link. Pure."""

from leadflood.domain.auth.schemas.field_rights import may_govern
from leadflood.domain.auth.schemas.links import LinkKind
from leadflood.domain.auth.schemas.principals import Principal
from leadflood.domain.auth.schemas.roles import Role
from leadflood.domain.auth.schemas.users import User, UserState
from leadflood.engine.errors import Conflict, Denied, Invalid

_HINTS = {
    UserState.INVITED: "send a new invitation",
    UserState.ACTIVE: "make a link to reset the password",
    UserState.DISABLED: "make the user active first",
}


def is_active_admin(user: User) -> bool:
    """Whether a user is an administrator who may log in."""
    return user.role is Role.ADMIN and user.state is UserState.ACTIVE


def require_may_govern(principal: Principal, *roles: Role) -> None:
    """Refuse who gives, takes or reaches more than they hold. Raises: Denied."""
    for role in roles:
        if not may_govern(principal, role):
            raise Denied(
                f"to decide about a person who is {role} needs all that {role} allows"
                + (", and no API key may" if role is Role.ADMIN else ""),
                code="user.role.denied",
            )


def change_state(user: User, state: UserState) -> UserState:
    """Return the state after an administrator asked for one.

    Enabling a user who never registered makes them invited again. Raises: Invalid.
    """
    if state in (user.state, UserState.DISABLED):
        return state
    if user.state is UserState.DISABLED:
        return UserState.INVITED if user.password_hash is None else UserState.ACTIVE
    problem = "active: by registering; invited: by inviting; write disabled, or leave it out"
    raise Invalid.field("state", problem, code="user.state.refused")


def check_link_kind(state: UserState, kind: LinkKind) -> None:
    """Refuse invitations for users who registered, and resets for all others. Raises: Conflict."""
    required = UserState.INVITED if kind is LinkKind.INVITATION else UserState.ACTIVE
    if state is not required:
        raise Conflict(f"this user is {state}: {_HINTS[state]}", code="user.state.other")
