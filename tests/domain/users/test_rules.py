from datetime import UTC, datetime
from uuid import UUID

import pytest
from leadflood.domain.auth.schemas.links import LinkKind
from leadflood.domain.auth.schemas.roles import Role
from leadflood.domain.auth.schemas.users import User, UserState
from leadflood.domain.users.rules import change_state, check_link_kind, is_active_admin
from leadflood.engine.errors import Conflict, Invalid

NOW = datetime(2026, 1, 5, tzinfo=UTC)


def a_user(state: UserState, *, role: Role = Role.ADMIN, is_registered: bool = True) -> User:
    return User(
        id=UUID(int=1),
        version=1,
        email="ann@team.example",
        name="Ann",
        role=role,
        state=state,
        password_hash="argon2" if is_registered else None,
        totp_secret=None,
        totp_confirmed_at=None,
        totp_last_step=0,
        created_at=NOW,
        updated_at=NOW,
        last_login_at=None,
    )


def test_an_administrator_counts_while_they_may_log_in() -> None:
    assert is_active_admin(a_user(UserState.ACTIVE))
    assert not is_active_admin(a_user(UserState.DISABLED))
    assert not is_active_admin(a_user(UserState.ACTIVE, role=Role.MANAGER))


@pytest.mark.parametrize("state", UserState)
def test_everybody_may_be_disabled(state: UserState) -> None:
    assert change_state(a_user(state), UserState.DISABLED) is UserState.DISABLED


def test_an_enabled_user_is_active_only_if_they_ever_registered() -> None:
    registered = a_user(UserState.DISABLED)
    invited = a_user(UserState.DISABLED, is_registered=False)

    assert change_state(registered, UserState.ACTIVE) is UserState.ACTIVE
    assert change_state(invited, UserState.ACTIVE) is UserState.INVITED


def test_nobody_is_activated_without_registering() -> None:
    with pytest.raises(Invalid):
        change_state(a_user(UserState.INVITED, is_registered=False), UserState.ACTIVE)


@pytest.mark.parametrize(
    ("state", "kind", "is_refused"),
    [
        (UserState.INVITED, LinkKind.INVITATION, False),
        (UserState.INVITED, LinkKind.RESET, True),
        (UserState.ACTIVE, LinkKind.INVITATION, True),
        (UserState.ACTIVE, LinkKind.RESET, False),
        (UserState.DISABLED, LinkKind.INVITATION, True),
        (UserState.DISABLED, LinkKind.RESET, True),
    ],
)
def test_invitations_are_for_invited_users_and_resets_for_active_ones(
    state: UserState,
    kind: LinkKind,
    is_refused: bool,  # noqa: FBT001 - a table
) -> None:
    refused = False
    try:
        check_link_kind(state, kind)
    except Conflict:
        refused = True

    assert refused is is_refused
