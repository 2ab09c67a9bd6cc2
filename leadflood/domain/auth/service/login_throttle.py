"""Passwords and codes tried in vain: who guesses is slowed down, the owner is not locked out.

A try is written as a failure before it is judged and taken away when it succeeds, under a lock for
its account and address: a thousand at once are counted like a thousand in a row. Too many from one
address close that address. Too many for one account close it for addresses that the account never
logged in from, so that a stranger's guesses cannot keep its owner out. Kept in the database: all
nodes count together, and a restart forgets nothing.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from leadflood.domain.auth.repository.statements import SQL
from leadflood.domain.auth.rules.master_secret import Vault
from leadflood.domain.auth.rules.passwords import address_of
from leadflood.domain.auth.schemas import Settings
from leadflood.domain.auth.service.passwords import Passwords
from leadflood.engine.clock import Clock
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import Reader, Row, Tx
from leadflood.engine.errors import Throttled
from leadflood.engine.ids import Ids

KNOWN_ADDRESSES = 50
_NOBODY = UUID(int=0)


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """A try, counted as a failure until it is dropped. `user_id` None: no such account."""

    id: UUID
    account: bytes
    address: str
    user_id: UUID | None


class Attempts:
    """Counts tries."""

    def __init__(
        self, db: Database, clock: Clock, ids: Ids, settings: Settings, parts: "Trying"
    ) -> None:
        self._db = db
        self._clock = clock
        self._ids = ids
        self._settings = settings
        self._vault = parts.vault
        self._passwords = parts.passwords
        self._window = timedelta(minutes=settings.failure_minutes)

    @asynccontextmanager
    async def trying(self, email: str, user_id: UUID | None, remote: str) -> AsyncIterator[Attempt]:
        """Hold one of the few slots for hashing while the block judges a try.

        Raises: Throttled, before anything is judged.
        """
        attempt = Attempt(
            id=self._ids.new(), account=self._vault.digest("account", email.encode()),
            address=address_of(remote), user_id=user_id,
        )  # fmt: skip
        self._check(await self._count(self._db, attempt))
        async with self._passwords.slots:
            async with self._db.transaction() as tx:
                for what in sorted((attempt.account.hex(), attempt.address)):
                    await tx.execute(SQL.lock_accounts, what=what)
                self._check(await self._count(tx, attempt))
                await tx.execute(
                    SQL.add_attempt, id=attempt.id, account=attempt.account,
                    address=attempt.address, now=self._clock.now(),
                )  # fmt: skip
            yield attempt

    async def forgive(self, db: Reader, attempt: Attempt) -> None:
        """Take a try away that was no guess."""
        await db.execute(SQL.drop_attempt, id=attempt.id)

    async def succeed(self, tx: Tx, attempt: Attempt) -> None:
        """Take the try away and know the address from now on."""
        await self.forgive(tx, attempt)
        if attempt.user_id is not None:
            await self.know(tx, attempt.user_id, attempt.address)

    async def know(self, tx: Tx, user_id: UUID, remote: str) -> None:
        """Remember that a person came from an address."""
        await tx.execute(
            SQL.note_known_address, user_id=user_id, address=address_of(remote),
            now=self._clock.now(),
        )  # fmt: skip
        await tx.execute(SQL.trim_known_addresses, user_id=user_id, keeps=KNOWN_ADDRESSES)

    async def _count(self, db: Reader, attempt: Attempt) -> Row:
        row = await db.fetch_one(
            SQL.count_attempts, account=attempt.account, address=attempt.address,
            user_id=attempt.user_id or _NOBODY, since=self._clock.now() - self._window,
        )  # fmt: skip
        if row is None:
            raise AssertionError("a query without FROM gives one row")
        return row

    def _check(self, row: Row) -> None:
        if row["from_address"] >= self._settings.address_failures:
            raise self._throttled("from this address", row["address_since"])
        if row["for_account"] >= self._settings.account_failures and not row["is_known"]:
            raise self._throttled(
                "for this account (it stays open where it logged in before)", row["account_since"]
            )

    def _throttled(self, where: str, since: datetime) -> Throttled:
        wait_seconds = (since + self._window - self._clock.now()).total_seconds()
        return Throttled(
            f"too many logins failed {where}: wait as Retry-After says",
            max(wait_seconds, 1.0),
            code="auth.login.throttled",
        )


class Trying(msgspec.Struct, frozen=True):
    """What judging a try needs."""

    vault: Vault
    passwords: Passwords
