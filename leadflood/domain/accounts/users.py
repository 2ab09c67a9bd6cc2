"""People as an administrator keeps them."""

from uuid import UUID

import msgspec

from leadflood.domain.accounts import store
from leadflood.domain.accounts.links import Links
from leadflood.domain.accounts.rules import normalize_email
from leadflood.domain.accounts.schemas import (
    Link,
    LinkKind,
    Role,
    User,
    UserChange,
    UserFilter,
    UserState,
    UserView,
)
from leadflood.domain.accounts.sessions import Sessions
from leadflood.domain.accounts.sql import SQL
from leadflood.engine.clock import Clock
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import Conflict, Invalid, NotFound, PreconditionFailed
from leadflood.engine.ids import Ids


class Invited(msgspec.Struct, frozen=True):
    """Somebody who may register, and his link."""

    user: UserView
    link: Link


class Changed(msgspec.Struct, frozen=True):
    """A person before and after."""

    before: UserView
    after: UserView


class Users:
    """The use cases of people. There is always an active administrator once there was one."""

    def __init__(
        self, db: Database, clock: Clock, ids: Ids, links: Links, sessions: Sessions
    ) -> None:
        self._db = db
        self._clock = clock
        self._ids = ids
        self._links = links
        self._sessions = sessions

    async def invite(self, tx: Tx, email: str, name: str, role: Role) -> Invited:
        """Write a person down who may register by a one-time link. Raises: Invalid, Conflict."""
        now = self._clock.now()
        user = User(
            id=self._ids.new(), version=1, email=normalize_email(email), name=name, role=role,
            state=UserState.INVITED, password_hash=None, totp_secret=None, totp_confirmed_at=None,
            totp_last_step=0, created_at=now, updated_at=now, last_login_at=None,
        )  # fmt: skip
        if not await store.add_user(tx, user):
            raise Conflict(
                f"{user.email} is there already: find the user, then change him or send a new link",
                code="user.email.taken",
            )
        link = await self._links.make(tx, LinkKind.INVITATION, user.id)
        return Invited(UserView.of(user), link)

    async def get(self, user_id: UUID, tx: Tx | None = None) -> UserView:
        """Get a person; `tx` where one is open. Raises: NotFound."""
        user = await store.find_user(tx or self._db, user_id)
        if user is None:
            raise _unknown(user_id)
        return UserView.of(user)

    async def get_by_email(self, email: str, tx: Tx | None = None) -> UserView:
        """Get a person by address; `tx` where one is open. Raises: NotFound."""
        user = await store.find_by_email(tx or self._db, normalize_email(email))
        if user is None:
            raise NotFound(f"there is no user {email}: list them", code="user.unknown")
        return UserView.of(user)

    async def list(self, wanted: UserFilter, before: UUID | None, limit: int) -> list[UserView]:
        """List people, newest first."""
        found = await store.list_users(self._db, wanted, before, limit)
        return [UserView.of(user) for user in found]

    async def change(
        self, tx: Tx, user_id: UUID, change: UserChange, version: int | None = None
    ) -> Changed:
        """Change name, role or state; who is disabled loses his sessions and keys.

        Raises: NotFound, PreconditionFailed, Conflict (the last administrator), Invalid.
        """
        await tx.execute(SQL.lock_accounts, what="administrators")
        before = await self._lock(tx, user_id)
        if version not in (None, before.version):
            raise PreconditionFailed(
                f"the user is at version {before.version}, not {version}", code="user.changed"
            )
        after = msgspec.structs.replace(
            before,
            name=before.name if change.name is None else change.name,
            role=change.role or before.role,
            state=_state_after(before, change.state),
        )
        if _is_admin(before) and not _is_admin(after):
            await self._require_another_admin(tx, user_id)
        if after != before:
            await store.change_user(tx, after, self._clock.now())
        if after.state is UserState.DISABLED:
            await self._shut_out(tx, user_id)
        return Changed(UserView.of(before), UserView.of(await self._lock(tx, user_id)))

    async def make_link(
        self, tx: Tx, user_id: UUID, kind: LinkKind, *, removes_totp: bool = False
    ) -> Invited:
        """Make a fresh link for a person: an invitation until he registered, then a reset.

        Raises: NotFound, Conflict.
        """
        user = await self._lock(tx, user_id)
        wanted = UserState.INVITED if kind is LinkKind.INVITATION else UserState.ACTIVE
        if user.state is not wanted:
            hint = {
                UserState.INVITED: "send a new invitation",
                UserState.ACTIVE: "make a link to reset the password",
                UserState.DISABLED: "make the user active first",
            }[user.state]
            raise Conflict(f"this user is {user.state}: {hint}", code="user.state.other")
        link = await self._links.make(tx, kind, user_id, removes_totp=removes_totp)
        return Invited(UserView.of(user), link)

    async def _lock(self, tx: Tx, user_id: UUID) -> User:
        user = await store.lock_user(tx, user_id)
        if user is None:
            raise _unknown(user_id)
        return user

    async def _require_another_admin(self, tx: Tx, user_id: UUID) -> None:
        if not await tx.fetch_value(SQL.count_other_admins, id=user_id):
            raise Conflict(
                "this is the last active administrator: make another one first",
                code="user.last_admin",
            )

    async def _shut_out(self, tx: Tx, user_id: UUID) -> None:
        await self._sessions.revoke_all(tx, user_id, "user_disabled")
        await tx.execute(SQL.revoke_keys, user_id=user_id, now=self._clock.now())
        await tx.execute(SQL.drop_links, user_id=user_id)


def _is_admin(user: User) -> bool:
    return user.role is Role.ADMIN and user.state is UserState.ACTIVE


def _state_after(user: User, wanted: UserState | None) -> UserState:
    """Tell the state wanted; who never registered comes back as invited. Raises: Invalid."""
    if wanted is None or wanted is user.state:
        return user.state
    if wanted is UserState.DISABLED:
        return wanted
    if user.state is UserState.DISABLED:
        return UserState.INVITED if user.password_hash is None else UserState.ACTIVE
    problem = "active: by registering; invited: by inviting; write disabled, or leave it out"
    raise Invalid.field("state", problem, code="user.state.refused")


def _unknown(user_id: UUID) -> NotFound:
    return NotFound(f"there is no user {user_id}: list them for their ids", code="user.unknown")
