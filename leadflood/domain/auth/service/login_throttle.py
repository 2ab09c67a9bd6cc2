"""Login throttle: whoever guesses is slowed down, the owner is not locked out.

An attempt is stored as a failure before it is verified and deleted when it succeeds, under a lock
for its account and address: a thousand at once are counted like a thousand in a row. Too many from
one address close that address. Too many for one account close it to addresses that the account
never logged in from, so that a stranger's guesses cannot keep its owner out. Stored in the
database: all nodes count together, and a restart forgets nothing.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from leadflood.domain.auth.repository import login_attempts
from leadflood.domain.auth.repository.locks import lock_subject
from leadflood.domain.auth.repository.login_attempts import FailureCounts, LoginAttempt
from leadflood.domain.auth.rules.client_networks import client_network
from leadflood.domain.auth.rules.master_secret import MasterSecret
from leadflood.domain.auth.schemas.settings import Settings
from leadflood.domain.auth.service.passwords import Passwords
from leadflood.engine.clock import Clock
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import Throttled
from leadflood.engine.ids import Ids


class ThrottleParts(msgspec.Struct, frozen=True, kw_only=True):
    """The collaborators of the throttle: what it counts in, and whose slots it hands out."""

    db: Database
    clock: Clock
    ids: Ids
    secret: MasterSecret
    passwords: Passwords


class LoginThrottle:
    """Counts attempts."""

    def __init__(self, parts: ThrottleParts, settings: Settings) -> None:
        self._parts = parts
        self._account_failures = settings.account_failures
        self._address_failures = settings.address_failures
        self._window = timedelta(minutes=settings.failure_minutes)

    @asynccontextmanager
    async def attempt(
        self, email: str, user_id: UUID | None, address: str
    ) -> AsyncIterator[LoginAttempt]:
        """Store an attempt, and hold one of the slots for hashing while the block verifies it.

        Raises: Throttled, before anything is verified.
        """
        parts = self._parts
        attempt = LoginAttempt(
            id=parts.ids.new(),
            account=parts.secret.digest("account", email.encode()),
            address=client_network(address),
            user_id=user_id,
        )
        await self._check(parts.db, attempt)
        async with parts.passwords.slots:
            async with parts.db.transaction() as tx:
                for subject in sorted((attempt.account.hex(), attempt.address)):
                    await lock_subject(tx, subject)
                await self._check(tx, attempt)
                await login_attempts.add_login_attempt(tx, attempt, parts.clock.now())
            yield attempt

    async def withdraw(self, db: Reader, attempt: LoginAttempt) -> None:
        """Delete an attempt that was no guess."""
        await login_attempts.delete_login_attempt(db, attempt.id)

    async def record_success(self, tx: Tx, attempt: LoginAttempt) -> None:
        """Delete the attempt and remember its address."""
        await self.withdraw(tx, attempt)
        if attempt.user_id is not None:
            await self.record_address(tx, attempt.user_id, attempt.address)

    async def record_address(self, tx: Tx, user_id: UUID, address: str) -> None:
        """Remember an address that a user came from."""
        await login_attempts.record_known_address(
            tx, user_id, client_network(address), self._parts.clock.now()
        )

    async def _check(self, db: Reader, attempt: LoginAttempt) -> None:
        since = self._parts.clock.now() - self._window
        counts = await login_attempts.count_login_attempts(db, attempt, since)
        if counts.from_address >= self._address_failures:
            raise self._throttled("from this address", counts.address_since)
        if self._is_account_closed(counts):
            raise self._throttled(
                "for this account (it stays open where it logged in before)", counts.account_since
            )

    def _is_account_closed(self, counts: FailureCounts) -> bool:
        return counts.for_account >= self._account_failures and not counts.is_known

    def _throttled(self, scope: str, since: datetime | None) -> Throttled:
        now = self._parts.clock.now()
        wait_seconds = ((since or now) + self._window - now).total_seconds()
        return Throttled(
            f"too many logins failed {scope}: wait as Retry-After says",
            max(wait_seconds, 1.0),
            code="auth.login.throttled",
        )
