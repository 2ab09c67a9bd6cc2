"""Own account: what users change of their own credentials, after proving their identity again."""

from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.domain.auth.repository import one_time_links, users
from leadflood.domain.auth.repository.login_attempts import LoginAttempt
from leadflood.domain.auth.schemas.credentials import EndedAccess, Enrollment
from leadflood.domain.auth.schemas.users import User, UserView
from leadflood.domain.auth.service.login import LoginParts
from leadflood.domain.auth.service.login_throttle import AttemptOrigin
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import Denied, NotFound


class IdentityProof(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt to prove one's identity; a code must do it unless `is_password_right`."""

    user: User
    attempt: LoginAttempt
    is_password_right: bool


class PasswordChanged(msgspec.Struct, frozen=True, kw_only=True):
    """A user with their new password, and what was ended with the former one."""

    user: UserView
    ended: EndedAccess


class OwnAccount:
    """The use cases of one's own account. An attempt to prove oneself is counted like a login."""

    def __init__(self, parts: LoginParts) -> None:
        self._parts = parts

    async def check_new_password(self, password: str, email: str) -> None:
        """Refuse a password that is easily guessed. Raises: Invalid, Transient."""
        await self._parts.passwords.check(password, email)

    async def attempt_code(self, user_id: UUID, origin: AttemptOrigin) -> IdentityProof:
        """Count an attempt that a code alone decides. Raises: Throttled, Transient."""
        return await self.attempt_proof(user_id, "", origin)

    async def attempt_proof(
        self, user_id: UUID, password: str, origin: AttemptOrigin
    ) -> IdentityProof:
        """Count an attempt and verify the password, where there is one.

        Raises: Throttled, Transient.
        """
        user = await self._get(self._parts.db, user_id)
        async with self._parts.throttle.attempt(user.email, user.id, origin) as attempt:
            is_right = bool(password) and await self._parts.passwords.verify(
                user.password_hash, password
            )
        return IdentityProof(user=user, attempt=attempt, is_password_right=is_right)

    async def require_password(
        self, user_id: UUID, password: str, origin: AttemptOrigin
    ) -> IdentityProof:
        """Verify the present password before another is hashed.

        Raises: Throttled, Transient, Denied.
        """
        proof = await self.attempt_proof(user_id, password, origin)
        if not proof.is_password_right:
            raise _wrong_password()
        return proof

    async def prove(
        self, tx: Tx, proof: IdentityProof, code: str, session_id: UUID
    ) -> datetime | None:
        """Let a session make keys and factors; return until when, None: the proof was wrong."""
        if await self._lock_proved(tx, proof, code) is None:
            return None
        return await self._parts.sessions.record_proof(tx, session_id)

    async def require_factor(self, tx: Tx, proof: IdentityProof, code: str) -> None:
        """Require a code of the second factor, where one is in force. Raises: Denied."""
        user = await self._lock(tx, proof.user.id)
        is_asked = user.totp_confirmed_at is not None
        if is_asked and not (code and await self._parts.two_factor.spend(tx, user, code)):
            raise wrong_proof()

    async def change_password(
        self,
        tx: Tx,
        proof: IdentityProof,
        password_hash: str,
        *,
        spared: UUID,
        ends_keys: bool,
    ) -> PasswordChanged:
        """Set a new password; all sessions but one end, and the keys where the user says so.

        Raises: Denied, if it changed already.
        """
        parts = self._parts
        user = await self._lock(tx, proof.user.id)
        if user.password_hash != proof.user.password_hash:
            raise _wrong_password()
        await users.set_password(tx, user.id, password_hash, parts.clock.now())
        await one_time_links.delete_links(tx, user.id)
        await parts.throttle.record_success(tx, proof.attempt)
        ended = await parts.revocation.end_all(
            tx, user.id, "password_changed", spared=spared, ends_keys=ends_keys
        )
        return PasswordChanged(user=UserView.of(await self._get(tx, user.id)), ended=ended)

    async def enroll(self, tx: Tx, user_id: UUID, session_id: UUID) -> Enrollment:
        """Begin a second factor. Raises: Denied (no fresh proof), Conflict."""
        await self._parts.sessions.require_proof(tx, session_id)
        return await self._parts.two_factor.enroll(tx, await self._lock(tx, user_id))

    async def confirm(self, tx: Tx, proof: IdentityProof, code: str) -> tuple[str, ...] | None:
        """Put the second factor in force; None: the code is wrong. Raises: Conflict."""
        user = await self._lock(tx, proof.user.id)
        recovery_codes = await self._parts.two_factor.confirm(tx, user, code)
        if recovery_codes is not None:
            await self._parts.throttle.record_success(tx, proof.attempt)
        return recovery_codes

    async def remove_totp(self, tx: Tx, proof: IdentityProof, code: str) -> UserView | None:
        """Remove the second factor by a code of it, or a recovery code; None: it was wrong."""
        user = await self._lock_proved(tx, proof, code)
        if user is None:
            return None
        await self._parts.two_factor.remove(tx, user)
        return UserView.of(await self._get(tx, user.id))

    async def renew_recovery_codes(
        self, tx: Tx, proof: IdentityProof, code: str
    ) -> tuple[str, ...] | None:
        """Return new recovery codes; None: the code was wrong. Raises: Denied (no factor)."""
        user = await self._lock_proved(tx, proof, code)
        if user is None:
            return None
        self._parts.two_factor.require(user)
        return await self._parts.two_factor.renew_recovery_codes(tx, user)

    async def _lock_proved(self, tx: Tx, proof: IdentityProof, code: str) -> User | None:
        """Return the user, locked; None: not proved. A second factor in force needs its code."""
        user = await self._lock(tx, proof.user.id)
        is_proved = (
            user.totp_confirmed_at is None
            and proof.is_password_right
            and user.password_hash == proof.user.password_hash
        )
        if not is_proved and not (code and await self._parts.two_factor.spend(tx, user, code)):
            return None
        await self._parts.throttle.record_success(tx, proof.attempt)
        return user

    async def _lock(self, tx: Tx, user_id: UUID) -> User:
        return _existing(await users.lock_user(tx, user_id))

    async def _get(self, db: Reader, user_id: UUID) -> User:
        return _existing(await users.find_user(db, user_id))


def _existing(user: User | None) -> User:
    if user is None:
        raise NotFound("this account is gone", code="user.not_found")
    return user


def wrong_proof() -> Denied:
    """Return the refusal of a wrong password or code: no 401, for the session itself is good."""
    return Denied(
        "the password or code is wrong; where a second factor is in force, send a code of it or an"
        " unused recovery code: the password alone is not enough",
        code="auth.proof.wrong",
    )


def _wrong_password() -> Denied:
    return Denied("the old password is wrong", code="auth.password.wrong")
