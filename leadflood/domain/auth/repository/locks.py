"""Advisory locks of the slice."""

from leadflood.domain.auth.repository.statements import SQL
from leadflood.engine.db.tx import Tx


async def lock_subject(tx: Tx, subject: str) -> None:
    """Hold the lock of a subject until the transaction ends. Waits: for whoever holds it."""
    await tx.execute(SQL.lock_subject, subject=subject)
