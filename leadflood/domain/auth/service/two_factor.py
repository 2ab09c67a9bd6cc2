"""The second factor of a person: enrolled, confirmed, used, taken away."""

from datetime import datetime

from leadflood.domain.auth.repository.statements import SQL
from leadflood.domain.auth.rules import totp
from leadflood.domain.auth.rules.master_secret import Vault
from leadflood.domain.auth.schemas import Enrolment, User
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import Conflict, Denied


class Factors:
    """Keeps TOTP secrets sealed and recovery codes hashed. Each method wants the user's row locked.

    The last time step used is kept with the user, so a code that was seen works nowhere again.
    """

    def __init__(self, clock: Clock, vault: Vault) -> None:
        self._clock = clock
        self._vault = vault

    async def enrol(self, tx: Tx, user: User) -> Enrolment:
        """Make a secret that waits for its confirmation. Raises: Conflict when one is in force."""
        if user.totp_confirmed_at is not None:
            raise Conflict(
                "a second factor is in force: take it away first (DELETE /v1/auth/totp)",
                code="auth.totp.in_force",
            )
        secret = totp.make_secret()
        sealed = self._vault.seal(secret.encode(), _about(user))
        await tx.execute(SQL.set_totp, id=user.id, secret=sealed, now=self._clock.now())
        return Enrolment(secret=secret, uri=totp.uri_of(secret, user.email))

    async def confirm(self, tx: Tx, user: User, code: str) -> tuple[str, ...] | None:
        """Put an enrolled secret in force; gives recovery codes, None when the code is wrong.

        Raises: Conflict when nothing waits.
        """
        if user.totp_secret is None or user.totp_confirmed_at is not None:
            raise Conflict(
                "no second factor waits to be confirmed: enrol first (POST /v1/auth/totp)",
                code="auth.totp.nothing_to_confirm",
            )
        now = self._clock.now()
        step = self._step_of(user, code, now)
        if step is None:
            return None
        await tx.execute(SQL.confirm_totp, id=user.id, step=step, now=now)
        return await self.renew_codes(tx, user)

    async def spend(self, tx: Tx, user: User, code: str) -> bool:
        """Use up a code of the app, or a recovery code; tell whether it was good."""
        if totp.is_code(code):
            step = self._step_of(user, code, self._clock.now())
            if step is None:
                return False
            spent = await tx.fetch_value(SQL.spend_totp_step, id=user.id, step=step)
            return spent is not None
        plain = totp.read_recovery_code(code)
        if plain is None:
            return False
        used = await tx.fetch_value(
            SQL.spend_recovery_code, user_id=user.id, hash=self._hash(user, plain)
        )
        return used is not None

    async def remove(self, tx: Tx, user: User) -> None:
        """Ask for no second factor any more; its recovery codes are void."""
        await tx.execute(SQL.set_totp, id=user.id, secret=None, now=self._clock.now())
        await tx.execute(SQL.drop_recovery_codes, user_id=user.id)

    async def renew_codes(self, tx: Tx, user: User) -> tuple[str, ...]:
        """Make new recovery codes; the former ones are void."""
        codes = totp.make_recovery_codes()
        plain = [totp.read_recovery_code(code) or "" for code in codes]
        await tx.execute(SQL.drop_recovery_codes, user_id=user.id)
        await tx.execute(
            SQL.add_recovery_codes, user_id=user.id, hashes=[self._hash(user, one) for one in plain]
        )
        return codes

    def require(self, user: User) -> None:
        """Refuse what makes sense with a second factor only. Raises: Denied."""
        if user.totp_confirmed_at is None:
            raise Denied(
                "there is no second factor: enrol first (POST /v1/auth/totp)", code="auth.totp.none"
            )

    def _step_of(self, user: User, code: str, now: datetime) -> int | None:
        if user.totp_secret is None:
            return None
        secret = self._vault.open(user.totp_secret, _about(user)).decode()
        return totp.step_of(secret, code, now)

    def _hash(self, user: User, plain: str) -> bytes:
        return self._vault.digest("recovery code", user.id.bytes, plain.encode())


def _about(user: User) -> str:
    return f"totp {user.id}"
