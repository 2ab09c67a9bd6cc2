"""User accounts: the rows of people, which logging in reads and writes.

The slice `users`, in which administrators keep people, changes them through these verbs.
"""

from uuid import UUID

from leadflood.domain.auth.repository import api_keys, one_time_links, sessions, users
from leadflood.domain.auth.rules.email_addresses import normalize_email
from leadflood.domain.auth.schemas.users import NewUser, User, UserState
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import NotFound
from leadflood.engine.ids import Ids


class UserAccounts:
    """Adds, finds and updates accounts."""

    def __init__(self, clock: Clock, ids: Ids) -> None:
        self._clock = clock
        self._ids = ids

    async def add(self, tx: Tx, new: NewUser) -> User | None:
        """Add an account; None when the address is taken. Raises: Invalid (the address)."""
        now = self._clock.now()
        user = User(
            id=self._ids.new(),
            version=1,
            email=normalize_email(new.email),
            name=new.name,
            role=new.role,
            state=UserState.ACTIVE if new.password_hash else UserState.INVITED,
            password_hash=new.password_hash,
            totp_secret=None,
            totp_confirmed_at=None,
            totp_last_step=0,
            created_at=now,
            updated_at=now,
            last_login_at=None,
        )
        return user if await users.add_user(tx, user) else None

    async def get(self, db: Reader, user_id: UUID) -> User:
        """Get an account. Raises: NotFound."""
        user = await users.find_user(db, user_id)
        if user is None:
            raise _not_found(user_id)
        return user

    async def get_by_email(self, db: Reader, email: str) -> User:
        """Get an account by its address. Raises: NotFound, Invalid."""
        user = await users.find_user_by_email(db, normalize_email(email))
        if user is None:
            raise NotFound(f"there is no user {email}: list them", code="user.not_found")
        return user

    async def lock(self, tx: Tx, user_id: UUID) -> User:
        """Get an account that nobody else changes until the transaction ends. Raises: NotFound."""
        user = await users.lock_user(tx, user_id)
        if user is None:
            raise _not_found(user_id)
        return user

    async def update(self, tx: Tx, user: User) -> None:
        """Update name, role and state of an account."""
        await users.update_user(tx, user, self._clock.now())

    async def lock_out(self, tx: Tx, user_id: UUID, reason: str) -> None:
        """End a user's sessions, keys and links."""
        now = self._clock.now()
        await sessions.revoke_sessions(tx, user_id, reason, now)
        await api_keys.revoke_api_keys(tx, user_id, now)
        await one_time_links.delete_links(tx, user_id)


def _not_found(user_id: UUID) -> NotFound:
    return NotFound(f"there is no user {user_id}: list them for their ids", code="user.not_found")
