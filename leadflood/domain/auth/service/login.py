"""Logging in: password, then the second factor where there is one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from leadflood.domain.auth.repository import users as store
from leadflood.domain.auth.repository.statements import SQL
from leadflood.domain.auth.rules.passwords import address_of, read_email
from leadflood.domain.auth.schemas import Tokens, User, UserState
from leadflood.domain.auth.service.login_throttle import Attempt, Attempts
from leadflood.domain.auth.service.passwords import Passwords
from leadflood.domain.auth.service.sessions import Sessions
from leadflood.domain.auth.service.two_factor import Factors
from leadflood.engine.clock import Clock
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import Unauthenticated


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """A password, judged. `user` None: refused; `renewed_hash` None: the hash is up to date."""

    attempt: Attempt
    user: User | None
    renewed_hash: str | None


class Entered(msgspec.Struct, frozen=True):
    """Somebody is in."""

    user: User
    tokens: Tokens


class Refused(msgspec.Struct, frozen=True):
    """Nobody is in. `is_failure`: it counts as a guess."""

    error: Unauthenticated
    is_failure: bool


class LoginParts(msgspec.Struct, frozen=True, kw_only=True):
    """What logging in needs."""

    db: Database
    clock: Clock
    attempts: Attempts
    passwords: Passwords
    sessions: Sessions
    factors: Factors


class Logins:
    """The use case of logging in, in two steps: judge outside a transaction, enter inside one."""

    def __init__(self, parts: LoginParts) -> None:
        self._parts = parts

    @asynccontextmanager
    async def checking(self, email: str, password: str, remote: str) -> AsyncIterator[Checked]:
        """Judge a password; an unknown address costs the same. Raises: Throttled."""
        parts = self._parts
        address = read_email(email)
        user = await store.find_by_email(parts.db, address)
        async with parts.attempts.trying(address, user.id if user else None, remote) as attempt:
            hashed = None if user is None else user.password_hash
            is_right = await parts.passwords.is_right(hashed, password)
            if user is None or not is_right or user.state is not UserState.ACTIVE:
                yield Checked(attempt=attempt, user=None, renewed_hash=None)
                return
            renewed = None
            if parts.passwords.is_outdated(user.password_hash or ""):
                renewed = await parts.passwords.renew(password)
            yield Checked(attempt=attempt, user=user, renewed_hash=renewed)

    async def enter(
        self, tx: Tx, checked: Checked, code: str, remote: str, user_agent: str
    ) -> Entered | Refused:
        """Open a session for whom the password let in; commit in either case."""
        parts = self._parts
        user = None if checked.user is None else await store.lock_user(tx, checked.user.id)
        if user is None or checked.user is None or not _is_unchanged(user, checked.user):
            return Refused(_refused(), is_failure=True)
        if user.totp_confirmed_at is not None:
            if not code:
                await parts.attempts.forgive(tx, checked.attempt)
                return Refused(_totp_required(), is_failure=False)
            if not await parts.factors.spend(tx, user, code):
                return Refused(_refused(), is_failure=True)
        await parts.attempts.succeed(tx, checked.attempt)
        if checked.renewed_hash is not None:
            await tx.execute(
                SQL.renew_password_hash, id=user.id, password_hash=checked.renewed_hash,
                former=user.password_hash,
            )  # fmt: skip
        await tx.execute(SQL.note_login, id=user.id, now=parts.clock.now())
        session = await parts.sessions.open(tx, user.id, address_of(remote), user_agent)
        return Entered(user, session)


def _is_unchanged(now: User, then: User) -> bool:
    return now.state is UserState.ACTIVE and now.password_hash == then.password_hash


def _refused() -> Unauthenticated:
    return Unauthenticated(
        "address, password or code is wrong, or this account may not log in",
        code="auth.login.refused",
    )


def _totp_required() -> Unauthenticated:
    return Unauthenticated(
        "this account has a second factor: send the app's code, or a recovery code, as `code`",
        code="auth.totp.required",
    )
