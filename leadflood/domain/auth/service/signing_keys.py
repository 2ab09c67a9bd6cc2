"""The keys of access tokens: the database knows their names, the master secret gives the rest.

A new key is made by rotating; the one before verifies until its last token is past. Other nodes
look when they see a name they do not know, and every few seconds.
"""

import hmac
import secrets
from datetime import datetime, timedelta

from leadflood.domain.auth.repository.statements import SQL
from leadflood.domain.auth.rules.access_tokens import MOST_LATE, SigningKey
from leadflood.domain.auth.rules.master_secret import Vault
from leadflood.domain.auth.schemas import Settings
from leadflood.engine.clock import REAL_TIME, Clock
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import Reader, Row, Tx
from leadflood.engine.errors import Bug, Conflict

LOOK_SECONDS = 5.0
LOOK_AGAIN_SECONDS = 1.0


class SigningKeys:
    """The keys in force, as far as this process knows."""

    def __init__(self, db: Database, clock: Clock, settings: Settings, vault: Vault) -> None:
        self._db = db
        self._clock = clock
        self._vault = vault
        self._lives = timedelta(
            minutes=settings.access_minutes, seconds=settings.leeway_seconds + MOST_LATE
        )
        self._keys: dict[str, SigningKey] = {}
        self._looked_at = float("-inf")

    async def start(self) -> None:
        """Make the first key, or find that ours is the secret the others have. Raises: Conflict."""
        async with self._db.transaction() as tx:
            await tx.execute(SQL.lock_accounts, what="signing")
            if not await self._read(tx):
                await self._add(tx)
        await self._look()

    async def rotate(self, tx: Tx) -> str:
        """Sign new tokens with a new key; tell its name. Call `look_again` after the commit."""
        await tx.execute(SQL.lock_accounts, what="signing")
        now = self._clock.now()
        await tx.execute(SQL.retire_signing_keys, now=now)
        await tx.execute(SQL.prune_signing_keys, before=now - 2 * self._lives)
        return await self._add(tx)

    async def look(self) -> None:
        """Read the keys when what we know is old; before a transaction, never inside one."""
        if REAL_TIME.monotonic() - self._looked_at > LOOK_SECONDS:
            await self._look()

    def newest(self) -> SigningKey:
        """Tell the key to sign with."""
        for key in self._keys.values():
            if key.retired_at is None:
                return key
        raise Bug("there is no signing key in force: accounts were not started")

    async def find(self, kid: str) -> SigningKey | None:
        """Find a key by name that tokens may still be signed with; None: there is none."""
        known = self._keys.get(kid)
        since_seconds = REAL_TIME.monotonic() - self._looked_at
        if since_seconds > (LOOK_AGAIN_SECONDS if known is None else LOOK_SECONDS):
            await self._look()
            known = self._keys.get(kid)
        if known is None or not self._is_in_force(known.retired_at):
            return None
        return known

    async def adopt(self, tx: Tx) -> None:
        """Begin anew under our own secret: all sessions end, second factors and links are void.

        For who lost the former secret: nothing that was sealed or signed with it is of use.
        """
        await tx.execute(SQL.lock_accounts, what="signing")
        now = self._clock.now()
        await tx.execute(SQL.forget_signing_keys)
        await tx.execute(SQL.end_all_sessions, now=now)
        await tx.execute(SQL.forget_factors, now=now)
        await tx.execute(SQL.forget_recovery_codes)
        await self._add(tx)

    def look_again(self) -> None:
        """Read the keys anew before the next use."""
        self._looked_at = float("-inf")

    def _is_in_force(self, retired_at: datetime | None) -> bool:
        return retired_at is None or self._clock.now() < retired_at + self._lives

    async def _look(self) -> None:
        self._looked_at = REAL_TIME.monotonic()
        rows = await self._read(self._db)
        self._keys = {row["kid"]: self._key_of(row) for row in rows}

    async def _read(self, db: Reader) -> list[Row]:
        since = self._clock.now() - self._lives
        rows = list(await db.fetch(SQL.list_signing_keys, since=since))
        for row in rows:
            if not hmac.compare_digest(bytes(row["proof"]), self._proof_of(row["kid"])):
                raise Conflict(
                    "accounts.secret is not the one that this database was begun with: all nodes"
                    " of a database need the same; set LEADFLOOD_ACCOUNTS__SECRET (or …_FILE) to"
                    " what the first node has (setting, or accounts.secret in its data folder); if"
                    " it is lost, `leadflood users adopt-secret` begins anew with this one",
                    code="accounts.secret.foreign",
                )
        return rows

    async def _add(self, tx: Tx) -> str:
        kid = secrets.token_hex(8)
        await tx.execute(
            SQL.add_signing_key, kid=kid, proof=self._proof_of(kid), now=self._clock.now()
        )
        return kid

    def _proof_of(self, kid: str) -> bytes:
        return self._vault.digest("proof of the secret", kid.encode())

    def _key_of(self, row: Row) -> SigningKey:
        kid = row["kid"]
        return SigningKey(kid, self._vault.key(f"signing {kid}"), row["retired_at"])
