"""Login throttle: whoever guesses is slowed down, the owner is not locked out.

An attempt is stored as a failure before it is verified and deleted when it succeeds, under a lock
for its account and origin: a thousand at once are counted like a thousand in a row. Too many from
one address close that address, and too many for one account close that account, to those who never
logged in to it from there. Who did is counted apart there, and so is each session and each device
that shows the token of an earlier login: they wait for seconds, longer after each failure and a
minute at most. Guesses from elsewhere keep nobody out of an address they logged in from; guesses
behind the same address may make them wait there, and do not concern a device that shows its token.
Stored in the database: all nodes count together,
and a restart forgets nothing.
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
from leadflood.domain.auth.rules.device_tokens import DeviceTokens
from leadflood.domain.auth.rules.master_secret import MasterSecret
from leadflood.domain.auth.schemas.settings import Settings
from leadflood.domain.auth.schemas.users import User
from leadflood.domain.auth.service.passwords import Passwords
from leadflood.engine.clock import Clock
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import Throttled
from leadflood.engine.ids import Ids

MAX_WAIT_SECONDS = 60.0
"""How long the failures of others behind a known address, or in a session, delay its owner."""


class AttemptOrigin(msgspec.Struct, frozen=True, kw_only=True):
    """Where an attempt comes from.

    `session_id` None: its maker is not logged in. `device_id` None: they show no device token.
    """

    address: str
    session_id: UUID | None = None
    device_id: UUID | None = None

    @property
    def network(self) -> str:
        """The client's network."""
        return client_network(self.address)

    @property
    def counted(self) -> str:
        """What the attempt is counted under."""
        if self.session_id is not None:
            return f"session {self.session_id}"
        return self.network if self.device_id is None else f"device {self.device_id}"


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
        self._device_life = timedelta(days=settings.device_days)
        self._device_tokens = DeviceTokens(parts.secret)

    @asynccontextmanager
    async def attempt(
        self, email: str, user_id: UUID | None, origin: AttemptOrigin
    ) -> AsyncIterator[LoginAttempt]:
        """Store an attempt, and hold one of the slots for hashing while the block verifies it.

        Raises: Throttled, Transient, before anything is verified.
        """
        parts = self._parts
        attempt = LoginAttempt(
            id=parts.ids.new(),
            account=parts.secret.digest("account", email.encode()),
            origin=origin.counted,
            network=origin.network,
            user_id=user_id,
        )
        is_known = await self._check(parts.db, attempt)
        async with parts.passwords.slot(is_known=is_known):
            async with parts.db.transaction() as tx:
                for subject in sorted((attempt.account.hex(), attempt.origin)):
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
            await self.record_address(tx, attempt.user_id, attempt.network)

    def find_device(self, user: User | None, token: str) -> UUID | None:
        """Return the device that a token was given to; None when it is none of this user."""
        if user is None or not token:
            return None
        return self._device_tokens.find_device(token, user, self._parts.clock.now())

    def issue_device_token(self, user: User, device_id: UUID | None) -> str:
        """Return the token by which a device is known at the next login; None: a new device."""
        expires_at = self._parts.clock.now() + self._device_life
        return self._device_tokens.issue(user, device_id or self._parts.ids.new(), expires_at)

    async def record_address(self, tx: Tx, user_id: UUID, address: str) -> None:
        """Remember an address that a user came from."""
        await login_attempts.record_known_address(
            tx, user_id, client_network(address), self._parts.clock.now()
        )

    async def _check(self, db: Reader, attempt: LoginAttempt) -> bool:
        """Return whether its maker is known, by session, device or address. Raises: Throttled."""
        since = self._parts.clock.now() - self._window
        counts = await login_attempts.count_login_attempts(db, attempt, since)
        if attempt.is_counted_apart or counts.is_known:
            self._check_pair(counts, is_counted_apart=attempt.is_counted_apart)
            return True
        if counts.from_origin >= self._address_failures:
            raise self._throttled("from this address", self._end_of_window(counts.origin_since))
        if counts.for_account >= self._account_failures:
            raise self._throttled(
                "for this account (it stays open where it logged in before: from such an address,"
                " or with the `deviceToken` of an earlier login)",
                self._end_of_window(counts.account_since),
            )
        return False

    def _check_pair(self, counts: FailureCounts, *, is_counted_apart: bool) -> None:
        doublings = counts.for_pair - self._account_failures
        if doublings < 0 or counts.pair_latest is None:
            return
        wait = timedelta(seconds=min(2.0 ** min(doublings, 10), MAX_WAIT_SECONDS))
        if self._parts.clock.now() < counts.pair_latest + wait:
            scope = "here" if is_counted_apart else "for this account from this address"
            raise self._throttled(scope, counts.pair_latest + wait)

    def _end_of_window(self, since: datetime | None) -> datetime:
        return (since or self._parts.clock.now()) + self._window

    def _throttled(self, scope: str, until: datetime) -> Throttled:
        wait_seconds = (until - self._parts.clock.now()).total_seconds()
        return Throttled(
            f"too many logins failed {scope}: wait as Retry-After says",
            max(wait_seconds, 1.0),
            code="auth.login.throttled",
        )
