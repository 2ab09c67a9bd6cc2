"""The master secret of the installation, proved against the database before it is used.

Signing keys, sealed factors, remembered answers and the hashes of addresses are derived from it.
The database keeps a proof of the one that it was begun with: a process with another one, or with
none, would read every hash as unknown, so it is refused at its start, with the way out.
"""

import hmac
from typing import Protocol

from anyio import to_thread

from leadflood.domain.auth.repository import master_secret
from leadflood.domain.auth.repository.locks import lock_subject
from leadflood.domain.auth.rules.master_secret import MasterSecret, parse_master_secret
from leadflood.domain.auth.schemas.settings import Settings
from leadflood.engine.clock import Clock
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import Conflict, Invalid

_LOCK = "master secret"
_WAY_OUT = (
    " set LEADFLOOD_ACCOUNTS__SECRET (or …_FILE) to what the first node has (setting, or"
    " accounts.secret in its data folder); if it is lost for good, stop all nodes and run"
    " `leadflood suppress rekey`, which holds sending and says what is void"
)


class SecretStore(Protocol):
    """A place on this machine that keeps a secret."""

    def read(self) -> str | None:
        """Return the secret; None when there is none."""

    def create(self) -> str:
        """Return a new secret, or the one that is there by now."""


class MasterSecrets:
    """Reads the master secret of the settings or the data folder, and proves it."""

    def __init__(self, db: Database, clock: Clock, settings: Settings, store: SecretStore) -> None:
        self._db = db
        self._clock = clock
        self._setting = settings.secret
        self._store = store
        self._proved: MasterSecret | None = None

    @property
    def proved(self) -> MasterSecret | None:
        """The secret; None before it was proved."""
        return self._proved

    async def prove(self) -> MasterSecret:
        """Return the secret of this database; a new database takes ours, made where there is none.

        Raises: Invalid (too short), Conflict (another one, or lost).
        """
        if self._proved is None:
            if await master_secret.find_proof(self._db) is not None and not await self._read():
                raise _lost_secret()
            secret = await self._read_or_create()
            async with self._db.transaction() as tx:
                await lock_subject(tx, _LOCK)
                if await master_secret.find_proof(tx) is None:
                    await master_secret.record_proof(tx, _proof_of(secret), self._clock.now())
                await _check(tx, secret)
            self._proved = secret
        return self._proved

    async def is_new(self) -> bool:
        """Whether this database was begun with no secret yet."""
        return await master_secret.find_proof(self._db) is None

    async def check(self) -> None:
        """Check that ours still is the secret of this database. Raises: Conflict."""
        await _check(self._db, await self.prove())

    async def find_trouble(self) -> str:
        """Return why the next start of this node would be refused; empty: it would not.

        What this process has proved stays in force in it, whatever becomes of the file.
        """
        if self._proved is None:
            return ""
        advice = "put it back (backup, or another node) before this node is started again"
        try:
            text = await self._read()
            if text is None:
                return f"accounts.secret is gone from the data folder: {advice}"
            is_same = _proof_of(parse_master_secret(text)) == _proof_of(self._proved)
        except (Invalid, OSError, UnicodeDecodeError) as error:
            return f"accounts.secret cannot be read any more ({error}): {advice}"
        return "" if is_same else f"accounts.secret is another one now: {advice}"

    async def adopt(self, tx: Tx) -> MasterSecret:
        """Begin anew under our secret, made where there is none: all that others made is void.

        Sessions end, second factors go. Whoever keeps hashes under it writes them anew in the same
        transaction. Raises: Conflict while a node works with the former one.
        """
        await lock_subject(tx, _LOCK)
        if count := await master_secret.count_living_nodes(tx):
            raise Conflict(
                f"{count} nodes work on this database with the former secret: stop them first"
                " (one that was killed counts for half a minute)",
                code="accounts.secret.in_use",
            )
        secret = await self._read_or_create()
        if await master_secret.find_proof(tx) == _proof_of(secret):
            raise Conflict(
                "accounts.secret is the one of this database: nothing is lost",
                code="accounts.secret.in_force",
            )
        now = self._clock.now()
        await master_secret.record_proof(tx, _proof_of(secret), now)
        await master_secret.void_all_credentials(tx, now)
        self._proved = secret
        return secret

    async def _read(self) -> str | None:
        return self._setting or await to_thread.run_sync(self._store.read)

    async def _read_or_create(self) -> MasterSecret:
        text = await self._read()
        if text is None:
            text = await to_thread.run_sync(self._store.create)
        return parse_master_secret(text)


async def _check(db: Reader, secret: MasterSecret) -> None:
    proof = await master_secret.find_proof(db)
    if proof is None or not hmac.compare_digest(proof, _proof_of(secret)):
        raise _foreign_secret()


def _proof_of(secret: MasterSecret) -> bytes:
    return secret.digest("proof of the secret")


def _foreign_secret() -> Conflict:
    return Conflict(
        "accounts.secret is not the one that this database was begun with: all nodes of a"
        f" database need the same, for it keys the suppression list;{_WAY_OUT}",
        code="accounts.secret.foreign",
    )


def _lost_secret() -> Conflict:
    return Conflict(
        "there is no accounts.secret in this data folder, but this database was begun with one,"
        f" which keys its suppression list;{_WAY_OUT}",
        code="accounts.secret.missing",
    )
