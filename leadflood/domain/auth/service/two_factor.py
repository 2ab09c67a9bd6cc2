"""Two-factor authentication: a TOTP secret is enrolled, confirmed, used and removed."""

from datetime import datetime

from leadflood.domain.auth.repository import two_factor
from leadflood.domain.auth.rules import totp
from leadflood.domain.auth.rules.master_secret import MasterSecret
from leadflood.domain.auth.schemas.credentials import Enrollment
from leadflood.domain.auth.schemas.users import User
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import Conflict, Denied


class TwoFactor:
    """Keeps TOTP secrets sealed and recovery codes hashed. Callers hold the user's row locked.

    The last time step used is stored with the user, so that a code works once on all nodes.
    """

    def __init__(self, clock: Clock, secret: MasterSecret) -> None:
        self._clock = clock
        self._secret = secret

    async def enroll(self, tx: Tx, user: User) -> Enrollment:
        """Store a secret to be confirmed. Raises: Conflict when one is in force."""
        if user.totp_confirmed_at is not None:
            raise Conflict(
                "a second factor is in force: take it away first (DELETE /v1/auth/totp)",
                code="auth.totp.in_force",
            )
        secret = totp.make_secret()
        sealed = self._secret.seal(secret.encode(), _context_of(user))
        await two_factor.set_totp(tx, user.id, sealed, self._clock.now())
        return Enrollment(secret=secret, uri=totp.provisioning_uri(secret, user.email))

    async def confirm(self, tx: Tx, user: User, code: str) -> tuple[str, ...] | None:
        """Put an enrolled secret in force; return recovery codes, None when the code is wrong.

        Raises: Conflict when there is nothing to confirm.
        """
        if user.totp_secret is None or user.totp_confirmed_at is not None:
            raise Conflict(
                "no second factor waits to be confirmed: enroll first (POST /v1/auth/totp)",
                code="auth.totp.nothing_to_confirm",
            )
        now = self._clock.now()
        step = self._find_step(user, code, now)
        if step is None:
            return None
        await two_factor.confirm_totp(tx, user.id, step, now)
        return await self.renew_recovery_codes(tx, user)

    async def spend(self, tx: Tx, user: User, code: str) -> bool:
        """Use up a code of the app, or a recovery code; False when it is wrong or used."""
        if totp.is_code(code):
            step = self._find_step(user, code, self._clock.now())
            return step is not None and await two_factor.spend_totp_step(tx, user.id, step)
        recovery_code = totp.normalize_recovery_code(code)
        if recovery_code is None:
            return False
        return await two_factor.spend_recovery_code(tx, user.id, self._hash(user, recovery_code))

    async def remove(self, tx: Tx, user: User) -> None:
        """Remove the second factor and its recovery codes."""
        await two_factor.set_totp(tx, user.id, None, self._clock.now())
        await two_factor.replace_recovery_codes(tx, user.id, ())

    async def renew_recovery_codes(self, tx: Tx, user: User) -> tuple[str, ...]:
        """Return new recovery codes; the former ones are void."""
        codes = totp.make_recovery_codes()
        normalized = [totp.normalize_recovery_code(code) or "" for code in codes]
        hashes = [self._hash(user, code) for code in normalized]
        await two_factor.replace_recovery_codes(tx, user.id, hashes)
        return codes

    def require(self, user: User) -> None:
        """Refuse users without a second factor. Raises: Denied."""
        if user.totp_confirmed_at is None:
            raise Denied(
                "there is no second factor: enroll first (POST /v1/auth/totp)",
                code="auth.totp.none",
            )

    def _find_step(self, user: User, code: str, now: datetime) -> int | None:
        if user.totp_secret is None:
            return None
        secret = self._secret.open(user.totp_secret, _context_of(user)).decode()
        return totp.find_step(secret, code, now)

    def _hash(self, user: User, recovery_code: str) -> bytes:
        return self._secret.digest("recovery code", user.id.bytes, recovery_code.encode())


def _context_of(user: User) -> str:
    return f"totp {user.id}"
