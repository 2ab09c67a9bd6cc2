"""What a person does with his own account, proved anew by password or code where it matters."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import msgspec

from leadflood.domain.auth.repository import users as store
from leadflood.domain.auth.repository.statements import SQL
from leadflood.domain.auth.rules.passwords import check_password
from leadflood.domain.auth.schemas import Enrolment, User, UserView
from leadflood.domain.auth.service.login import LoginParts
from leadflood.domain.auth.service.login_throttle import Attempt
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import Denied, NotFound


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """A try to prove who one is; `is_password` True: the password was right."""

    user: User
    attempt: Attempt
    is_password: bool


class Selves:
    """The use cases of one's own account. What is proved is counted like a login."""

    def __init__(self, parts: LoginParts) -> None:
        self._parts = parts

    def check_new_password(self, password: str, email: str) -> None:
        """Refuse a password that is easily found. Raises: Invalid."""
        check_password(password, email)

    @asynccontextmanager
    async def trying(self, user_id: UUID, remote: str) -> AsyncIterator[Judged]:
        """Count a try that a code alone decides. Raises: Throttled."""
        user = await self._get(self._parts.db, user_id)
        async with self._parts.attempts.trying(user.email, user.id, remote) as attempt:
            yield Judged(user=user, attempt=attempt, is_password=False)

    @asynccontextmanager
    async def judging(self, user_id: UUID, password: str, remote: str) -> AsyncIterator[Judged]:
        """Count a try and judge the password, where one is given. Raises: Throttled."""
        async with self.trying(user_id, remote) as judged:
            is_right = bool(password) and await self._parts.passwords.is_right(
                judged.user.password_hash, password
            )
            yield msgspec.structs.replace(judged, is_password=is_right)

    async def prove(self, user_id: UUID, password: str, remote: str) -> Judged:
        """Judge a password before another is hashed. Raises: Throttled, Denied."""
        async with self.judging(user_id, password, remote) as judged:
            if not judged.is_password:
                raise Denied("the old password is wrong", code="auth.password.wrong")
        return judged

    async def change_password(
        self, tx: Tx, proof: Judged, password_hash: str, spared: UUID
    ) -> UserView:
        """Set a new password; all sessions but one end. Raises: Denied, if it changed already."""
        parts = self._parts
        user = await self._lock(tx, proof.user.id)
        if user.password_hash != proof.user.password_hash:
            raise Denied("the old password is wrong", code="auth.password.wrong")
        await tx.execute(
            SQL.set_password, id=user.id, password_hash=password_hash, now=parts.clock.now()
        )
        await tx.execute(SQL.drop_links, user_id=user.id)
        await parts.attempts.succeed(tx, proof.attempt)
        await parts.sessions.revoke_all(tx, user.id, "password_changed", spared)
        return UserView.of(await self._get(tx, user.id))

    async def enrol(self, tx: Tx, user_id: UUID) -> Enrolment:
        """Begin a second factor. Raises: Conflict."""
        return await self._parts.factors.enrol(tx, await self._lock(tx, user_id))

    async def confirm(self, tx: Tx, tried: Judged, code: str) -> tuple[str, ...] | None:
        """Put the second factor in force; None: the code is wrong. Raises: Conflict."""
        user = await self._lock(tx, tried.user.id)
        codes = await self._parts.factors.confirm(tx, user, code)
        if codes is not None:
            await self._parts.attempts.succeed(tx, tried.attempt)
        return codes

    async def remove_totp(self, tx: Tx, judged: Judged, code: str) -> UserView | None:
        """Take the second factor away; None: neither password nor code was right."""
        user = await self._proved(tx, judged, code)
        if user is None:
            return None
        await self._parts.factors.remove(tx, user)
        return UserView.of(await self._get(tx, user.id))

    async def renew_codes(self, tx: Tx, judged: Judged, code: str) -> tuple[str, ...] | None:
        """Make new recovery codes; None: neither password nor code was right. Raises: Denied."""
        user = await self._proved(tx, judged, code)
        if user is None:
            return None
        self._parts.factors.require(user)
        return await self._parts.factors.renew_codes(tx, user)

    async def _proved(self, tx: Tx, judged: Judged, code: str) -> User | None:
        user = await self._lock(tx, judged.user.id)
        is_password = judged.is_password and user.password_hash == judged.user.password_hash
        if not is_password and not (code and await self._parts.factors.spend(tx, user, code)):
            return None
        await self._parts.attempts.succeed(tx, judged.attempt)
        return user

    async def _lock(self, tx: Tx, user_id: UUID) -> User:
        return _known(await store.lock_user(tx, user_id))

    async def _get(self, db: Reader, user_id: UUID) -> User:
        return _known(await store.find_user(db, user_id))


def _known(user: User | None) -> User:
    if user is None:
        raise NotFound("this account is gone", code="user.unknown")
    return user
