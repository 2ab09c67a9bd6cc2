"""Failed logins and known addresses: one function per query."""

from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.domain.auth.repository.statements import SQL
from leadflood.engine.db.tx import Reader, Tx

MAX_KNOWN_ADDRESSES = 50
_NOBODY = UUID(int=0)


class LoginAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt to prove an identity: a failure until it is deleted.

    `account`: a keyed hash of the e-mail address.
    `origin`: what it is counted under beside the account: the client's network, or the session or
    known device at which it is made. `network`: the client's.
    `user_id`: None when there is no such account.
    """

    id: UUID
    account: bytes
    origin: str
    network: str
    user_id: UUID | None

    @property
    def is_counted_apart(self) -> bool:
        """Whether it is made in a session or on a known device: nobody else's count with it."""
        return self.origin != self.network


class FailureCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Recent failures that concern an attempt.

    `for_account`, `account_since`: how many for the account, and since when.
    `from_origin`, `origin_since`: how many from the origin, and since when.
    `for_pair`: how many for the account from the origin, and `pair_latest`: when the last was.
    `is_known`: whether the account has logged in from the network before.
    """

    for_account: int
    account_since: datetime | None
    from_origin: int
    origin_since: datetime | None
    for_pair: int
    pair_latest: datetime | None
    is_known: bool


async def count_login_attempts(db: Reader, attempt: LoginAttempt, since: datetime) -> FailureCounts:
    """Count the failures since an instant that concern an attempt."""
    [row] = await db.fetch(
        SQL.count_login_attempts,
        account=attempt.account,
        origin=attempt.origin,
        network=attempt.network,
        user_id=attempt.user_id or _NOBODY,
        since=since,
    )
    return FailureCounts(**dict(row.items()))


async def add_login_attempt(tx: Tx, attempt: LoginAttempt, now: datetime) -> None:
    """Insert an attempt, as a failure."""
    await tx.execute(
        SQL.add_login_attempt,
        id=attempt.id,
        account=attempt.account,
        origin=attempt.origin,
        now=now,
    )


async def delete_login_attempt(db: Reader, attempt_id: UUID) -> None:
    """Delete an attempt that is no failure."""
    await db.execute(SQL.delete_login_attempt, id=attempt_id)


async def record_known_address(tx: Tx, user_id: UUID, address: str, now: datetime) -> None:
    """Record that a user logged in from a network; the latest few are kept."""
    await tx.execute(SQL.record_known_address, user_id=user_id, address=address, now=now)
    await tx.execute(SQL.trim_known_addresses, user_id=user_id, limit=MAX_KNOWN_ADDRESSES)
