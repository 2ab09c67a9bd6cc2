"""The proof of the master secret, and what is void with it: one function per query."""

from datetime import datetime

from leadflood.domain.auth.repository.statements import SQL
from leadflood.engine.db.tx import Reader, Tx


async def find_proof(db: Reader) -> bytes | None:
    """Return the proof of the secret that this database was begun with; None: it is new."""
    proof = await db.fetch_value(SQL.find_proof)
    return None if proof is None else bytes(proof)


async def record_proof(tx: Tx, proof: bytes, now: datetime) -> None:
    """Store the proof of a secret in place of the former one."""
    await tx.execute(SQL.record_proof, proof=proof, now=now)


async def count_living_nodes(tx: Tx) -> int:
    """Count the nodes that beat a moment ago, by the database's clock."""
    return int(await tx.fetch_value(SQL.count_living_nodes))


async def void_all_credentials(tx: Tx, now: datetime) -> None:
    """End all sessions and delete whatever the former master secret signed or sealed."""
    await tx.execute(SQL.delete_signing_keys)
    await tx.execute(SQL.revoke_all_sessions, now=now)
    await tx.execute(SQL.delete_all_totp, now=now)
    await tx.execute(SQL.delete_all_recovery_codes)
