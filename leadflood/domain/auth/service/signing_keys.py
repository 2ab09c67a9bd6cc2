"""Signing keys of access tokens: the database has their names, the master secret their bytes.

Rotation makes a new key; the one before verifies until its last token has expired. Other nodes
read the keys when they see a name they do not know, and every few seconds.
"""

from datetime import datetime, timedelta
from secrets import token_hex

from leadflood.domain.auth.repository import signing_keys
from leadflood.domain.auth.repository.locks import lock_subject
from leadflood.domain.auth.repository.signing_keys import SigningKeyRow
from leadflood.domain.auth.rules.access_tokens import LATE_SIGNING_SECONDS, SigningKey
from leadflood.domain.auth.rules.master_secret import MasterSecret
from leadflood.domain.auth.schemas.settings import Settings
from leadflood.domain.auth.service.master_secrets import MasterSecrets
from leadflood.engine.clock import REAL_TIME, Clock
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import Bug

FRESH_SECONDS = 5.0
"""For this long the keys read from the database are not read again."""
UNKNOWN_KID_SECONDS = 1.0
"""The same when a token names a key that was not among them."""
_LOCK = "signing"


class SigningKeys:
    """The keys in force, as far as this process has read them."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        settings: Settings,
        secret: MasterSecret,
        secrets: MasterSecrets,
    ) -> None:
        self._db = db
        self._clock = clock
        self._secret = secret
        self._secrets = secrets
        self._verify_for = timedelta(
            minutes=settings.access_minutes, seconds=settings.leeway_seconds + LATE_SIGNING_SECONDS
        )
        self._keys: dict[str, SigningKey] = {}
        self._read_at = float("-inf")

    async def start(self) -> None:
        """Create the first key, or read those that there are."""
        async with self._db.transaction() as tx:
            await lock_subject(tx, _LOCK)
            if not await self._list(tx):
                await self._add(tx)
        await self._read()

    async def rotate(self, tx: Tx) -> str:
        """Sign new tokens with a new key; return its id. Call `mark_stale` after the commit."""
        await lock_subject(tx, _LOCK)
        now = self._clock.now()
        await signing_keys.retire_signing_keys(tx, now)
        await signing_keys.prune_signing_keys(tx, now - 2 * self._verify_for)
        return await self._add(tx)

    async def refresh(self) -> None:
        """Read the keys again when they are stale; before a transaction, never inside one."""
        if REAL_TIME.monotonic() - self._read_at > FRESH_SECONDS:
            await self._read()

    def mark_stale(self) -> None:
        """Read the keys again before the next use."""
        self._read_at = float("-inf")

    def newest(self) -> SigningKey:
        """Return the key to sign with."""
        for key in self._keys.values():
            if key.retired_at is None:
                return key
        raise Bug("there is no signing key in force: accounts were not started")

    async def find(self, kid: str) -> SigningKey | None:
        """Find a key that tokens in force may be signed with."""
        key = self._keys.get(kid)
        age_seconds = REAL_TIME.monotonic() - self._read_at
        if age_seconds > (UNKNOWN_KID_SECONDS if key is None else FRESH_SECONDS):
            await self._read()
            key = self._keys.get(kid)
        return key if key is not None and self._is_in_force(key.retired_at) else None

    def _is_in_force(self, retired_at: datetime | None) -> bool:
        return retired_at is None or self._clock.now() < retired_at + self._verify_for

    async def _read(self) -> None:
        """Raises: Conflict when the master secret was replaced under this process."""
        self._read_at = REAL_TIME.monotonic()
        await self._secrets.check()
        self._keys = {row.kid: self._key_of(row) for row in await self._list(self._db)}

    async def _list(self, db: Reader) -> list[SigningKeyRow]:
        return await signing_keys.list_signing_keys(db, self._clock.now() - self._verify_for)

    async def _add(self, tx: Tx) -> str:
        kid = token_hex(8)
        await signing_keys.add_signing_key(tx, kid, self._clock.now())
        return kid

    def _key_of(self, row: SigningKeyRow) -> SigningKey:
        return SigningKey(row.kid, self._secret.derive_key(f"signing {row.kid}"), row.retired_at)
