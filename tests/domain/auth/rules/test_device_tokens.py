from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import pytest
from leadflood.domain.auth.rules.device_tokens import DeviceTokens
from leadflood.domain.auth.rules.master_secret import MasterSecret
from leadflood.domain.auth.schemas.roles import Role
from leadflood.domain.auth.schemas.users import User, UserState

NOW = datetime(2026, 11, 30, tzinfo=UTC)
DEVICE = UUID(int=7)
FIRST_HASH, NEXT_HASH = "$argon2id$first", "$argon2id$next"
ANN = User(
    id=UUID(int=1),
    version=1,
    email="ann@team.example",
    name="Ann",
    role=Role.VIEWER,
    state=UserState.ACTIVE,
    password_hash=FIRST_HASH,
    totp_secret=None,
    totp_confirmed_at=None,
    totp_last_step=0,
    created_at=NOW,
    updated_at=NOW,
    last_login_at=None,
)
TOKENS = DeviceTokens(MasterSecret("s" * 40))
TOKEN = TOKENS.issue(ANN, DEVICE, NOW + timedelta(days=1))


def test_a_token_names_its_device_until_it_expires() -> None:
    before, after = NOW + timedelta(hours=23), NOW + timedelta(days=1)

    assert TOKENS.find_device(TOKEN, ANN, before) == DEVICE
    assert TOKENS.find_device(TOKEN, ANN, after) is None


@pytest.mark.parametrize(
    ("token", "user"),
    [
        pytest.param(TOKEN, msgspec.structs.replace(ANN, id=UUID(int=2)), id="another user"),
        pytest.param(
            TOKEN, msgspec.structs.replace(ANN, password_hash=NEXT_HASH), id="a new password"
        ),
        pytest.param(f"{TOKEN[:-8]}AAAAAAAA", ANN, id="another tag"),
        pytest.param(f"BBBB{TOKEN[4:]}", ANN, id="another device"),
        pytest.param(TOKEN[:-4], ANN, id="cut"),
        pytest.param("no token", ANN, id="no token"),
        pytest.param("", ANN, id="empty"),
    ],
)
def test_a_token_is_worth_nothing_to_others_nor_when_it_was_changed(token: str, user: User) -> None:
    assert TOKENS.find_device(token, user, NOW) is None


def test_a_token_of_another_installation_is_none() -> None:
    assert DeviceTokens(MasterSecret("t" * 40)).find_device(TOKEN, ANN, NOW) is None
