"""Login: password, then the second factor where there is one."""

from uuid import UUID

import msgspec

from leadflood.domain.auth.repository import users
from leadflood.domain.auth.repository.login_attempts import LoginAttempt
from leadflood.domain.auth.rules.client_networks import client_network
from leadflood.domain.auth.rules.email_addresses import fold_email
from leadflood.domain.auth.schemas.credentials import SessionTokens
from leadflood.domain.auth.schemas.users import User, UserState
from leadflood.domain.auth.service.access_revocation import AccessRevocation
from leadflood.domain.auth.service.login_throttle import AttemptOrigin, LoginThrottle
from leadflood.domain.auth.service.passwords import Passwords
from leadflood.domain.auth.service.sessions import Sessions
from leadflood.domain.auth.service.two_factor import TwoFactor
from leadflood.engine.clock import Clock
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import Unauthenticated


class VerifiedPassword(msgspec.Struct, frozen=True, kw_only=True):
    """A password, verified.

    `user` None: it is wrong. `renewed_hash` None: the hash is current. `device_id` None: no device
    token of this user was shown.
    """

    attempt: LoginAttempt
    user: User | None = None
    renewed_hash: str | None = None
    device_id: UUID | None = None


class LoginSucceeded(msgspec.Struct, frozen=True):
    """A session was opened; its device is known by the token at the next login."""

    user: User
    tokens: SessionTokens
    device_token: str


class LoginRefused(msgspec.Struct, frozen=True):
    """No session was opened. `is_failure`: it counts as a guess."""

    error: Unauthenticated
    is_failure: bool


class LoginParts(msgspec.Struct, frozen=True, kw_only=True):
    """The collaborators of whatever verifies an identity.

    `db`, `clock`: where accounts are, and the time.
    `throttle`: counts attempts.
    `passwords`, `two_factor`: verify.
    `sessions`: opened and renewed. `revocation`: ends them.
    """

    db: Database
    clock: Clock
    throttle: LoginThrottle
    passwords: Passwords
    sessions: Sessions
    revocation: AccessRevocation
    two_factor: TwoFactor


class LoginService:
    """The use case of logging in: verify outside a transaction, open the session inside one."""

    def __init__(self, parts: LoginParts) -> None:
        self._parts = parts

    async def verify_password(
        self, email: str, password: str, address: str, device_token: str = ""
    ) -> VerifiedPassword:
        """Verify a password; an unknown address costs the same. Raises: Throttled, Transient."""
        parts, email = self._parts, fold_email(email)
        user = await users.find_user_by_email(parts.db, email)
        device_id = parts.throttle.find_device(user, device_token)
        origin = AttemptOrigin(address=address, device_id=device_id)
        async with parts.throttle.attempt(email, user.id if user else None, origin) as attempt:
            password_hash = None if user is None else user.password_hash
            is_right = await parts.passwords.verify(password_hash, password)
            if user is None or not is_right or user.state is not UserState.ACTIVE:
                return VerifiedPassword(attempt=attempt)
            renewed_hash = None
            if parts.passwords.needs_rehash(user.password_hash or ""):
                renewed_hash = await parts.passwords.rehash(password)
            return VerifiedPassword(
                attempt=attempt, user=user, renewed_hash=renewed_hash, device_id=device_id
            )

    async def open_session(
        self, tx: Tx, verified: VerifiedPassword, code: str, address: str, user_agent: str
    ) -> LoginSucceeded | LoginRefused:
        """Open a session after the password, and the second factor; commit in either case."""
        user = await self._lock_unchanged(tx, verified)
        if user is None:
            return LoginRefused(_wrong_credentials(), is_failure=True)
        if user.totp_confirmed_at is not None:
            refused = await self._check_code(tx, user, verified.attempt, code)
            if refused is not None:
                return refused
        await self._record_success(tx, user, verified)
        tokens = await self._parts.sessions.open(tx, user.id, client_network(address), user_agent)
        password_hash = verified.renewed_hash or user.password_hash
        current = msgspec.structs.replace(user, password_hash=password_hash)
        device_token = self._parts.throttle.issue_device_token(current, verified.device_id)
        return LoginSucceeded(user, tokens, device_token)

    async def _lock_unchanged(self, tx: Tx, verified: VerifiedPassword) -> User | None:
        """Lock the user; None: the password was wrong, or user or password changed meanwhile."""
        if verified.user is None:
            return None
        user = await users.lock_user(tx, verified.user.id)
        if user is None or user.state is not UserState.ACTIVE:
            return None
        return user if user.password_hash == verified.user.password_hash else None

    async def _check_code(
        self, tx: Tx, user: User, attempt: LoginAttempt, code: str
    ) -> LoginRefused | None:
        if not code:
            await self._parts.throttle.withdraw(tx, attempt)
            return LoginRefused(_code_required(), is_failure=False)
        if not await self._parts.two_factor.spend(tx, user, code):
            return LoginRefused(_wrong_credentials(), is_failure=True)
        return None

    async def _record_success(self, tx: Tx, user: User, verified: VerifiedPassword) -> None:
        await self._parts.throttle.record_success(tx, verified.attempt)
        if verified.renewed_hash is not None:
            await users.renew_password_hash(tx, user, verified.renewed_hash)
        await users.record_login(tx, user.id, self._parts.clock.now())


def _wrong_credentials() -> Unauthenticated:
    return Unauthenticated(
        "address, password or code is wrong, or this account may not log in",
        code="auth.login.refused",
    )


def _code_required() -> Unauthenticated:
    return Unauthenticated(
        "this account has a second factor: send the app's code, or a recovery code, as `code`",
        code="auth.totp.required",
    )
