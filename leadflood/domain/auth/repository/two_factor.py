"""Second factors and recovery codes: one function per query."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from leadflood.domain.auth.repository.statements import SQL
from leadflood.engine.db.tx import Tx


async def set_totp(tx: Tx, user_id: UUID, sealed_secret: bytes | None, now: datetime) -> None:
    """Set a second factor to be confirmed; None removes it."""
    await tx.execute(SQL.set_totp, id=user_id, secret=sealed_secret, now=now)


async def confirm_totp(tx: Tx, user_id: UUID, step: int, now: datetime) -> None:
    """Put the second factor in force; `step` is the time step of the code that confirmed it."""
    await tx.execute(SQL.confirm_totp, id=user_id, step=step, now=now)


async def spend_totp_step(tx: Tx, user_id: UUID, step: int) -> bool:
    """Use up a time step; False when it, or a later one, was used before."""
    return await tx.fetch_value(SQL.spend_totp_step, id=user_id, step=step) is not None


async def replace_recovery_codes(tx: Tx, user_id: UUID, hashes: Sequence[bytes]) -> None:
    """Store new recovery codes; the former ones are void."""
    await tx.execute(SQL.delete_recovery_codes, user_id=user_id)
    if hashes:
        await tx.execute(SQL.add_recovery_codes, user_id=user_id, hashes=list(hashes))


async def spend_recovery_code(tx: Tx, user_id: UUID, code_hash: bytes) -> bool:
    """Use up a recovery code; False when there is no such code."""
    row = await tx.fetch_value(SQL.spend_recovery_code, user_id=user_id, hash=code_hash)
    return row is not None
