"""Users as an administrator keeps them."""

from uuid import UUID

import msgspec

from leadflood.domain.auth.schemas.links import LinkKind
from leadflood.domain.auth.schemas.principals import Principal
from leadflood.domain.auth.schemas.roles import Role
from leadflood.domain.auth.schemas.users import NewUser, User, UserState, UserView
from leadflood.domain.auth.service.one_time_links import OneTimeLinks
from leadflood.domain.auth.service.user_accounts import UserAccounts
from leadflood.domain.users import repository
from leadflood.domain.users.rules import (
    change_state,
    check_link_kind,
    is_active_admin,
    require_may_govern,
)
from leadflood.domain.users.schemas import IssuedLink, UserChange, UserFilter, UserUpdate
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import Conflict, PreconditionFailed


class Users:
    """The use cases of users. There is always an active administrator once there was one."""

    def __init__(self, db: Database, accounts: UserAccounts, links: OneTimeLinks) -> None:
        self._db = db
        self._accounts = accounts
        self._links = links

    async def invite(
        self, tx: Tx, email: str, name: str, role: Role, principal: Principal
    ) -> IssuedLink:
        """Add a user who may register by a one-time link. Raises: Invalid, Conflict, Denied."""
        require_may_govern(principal, role)
        user = await self._accounts.add(tx, NewUser(email=email, name=name, role=role))
        if user is None:
            raise await self._taken(tx, email)
        link = await self._links.create(tx, LinkKind.INVITATION, user.id)
        return IssuedLink(UserView.of(user), link)

    async def get(self, user_id: UUID, tx: Tx | None = None) -> UserView:
        """Get a user; `tx` where one is open. Raises: NotFound."""
        return UserView.of(await self._accounts.get(tx or self._db, user_id))

    async def get_by_email(self, email: str, tx: Tx | None = None) -> UserView:
        """Get a user by address; `tx` where one is open. Raises: NotFound, Invalid."""
        return UserView.of(await self._accounts.get_by_email(tx or self._db, email))

    async def list(self, filters: UserFilter, before: UUID | None, limit: int) -> list[UserView]:
        """List users, newest first."""
        return await repository.list_users(self._db, filters, before, limit)

    async def change(
        self,
        tx: Tx,
        user_id: UUID,
        change: UserChange,
        principal: Principal,
        version: int | None = None,
    ) -> UserUpdate:
        """Change name, role or state; a disabled user loses their sessions and keys.

        Raises: NotFound, PreconditionFailed, Conflict (the last administrator), Invalid, Denied.
        """
        await repository.lock_administrators(tx)
        before = await self._accounts.lock(tx, user_id)
        if version not in (None, before.version):
            raise PreconditionFailed(
                f"the user is at version {before.version}, not {version}",
                code="user.version_conflict",
            )
        after = _apply(before, change)
        require_may_govern(principal, before.role, after.role)
        if is_active_admin(before) and not is_active_admin(after):
            await self._require_another_admin(tx, user_id)
        if after != before:
            await self._accounts.update(tx, after)
        if after.state is UserState.DISABLED:
            await self._accounts.lock_out(tx, user_id, "user_disabled")
        stored = await self._accounts.lock(tx, user_id)
        return UserUpdate(UserView.of(before), UserView.of(stored))

    async def make_link(
        self,
        tx: Tx,
        user_id: UUID,
        kind: LinkKind,
        principal: Principal,
        *,
        removes_totp: bool = False,
    ) -> IssuedLink:
        """Create a fresh link for a user: an invitation until they registered, then a reset.

        Raises: NotFound, Conflict, Denied.
        """
        user = await self._accounts.lock(tx, user_id)
        require_may_govern(principal, user.role)
        check_link_kind(user.state, kind)
        link = await self._links.create(tx, kind, user_id, removes_totp=removes_totp)
        return IssuedLink(UserView.of(user), link)

    async def get_governed(self, tx: Tx, user_id: UUID, principal: Principal) -> UserView:
        """Get a user whom a principal may administer. Raises: NotFound, Denied."""
        user = await self.get(user_id, tx)
        require_may_govern(principal, user.role)
        return user

    async def _require_another_admin(self, tx: Tx, user_id: UUID) -> None:
        if not await repository.count_other_admins(tx, user_id):
            raise Conflict(
                "this is the last active administrator: make another one first",
                code="user.last_admin",
            )

    async def _taken(self, tx: Tx, email: str) -> Conflict:
        user = await self._accounts.get_by_email(tx, email)
        return Conflict(
            f"{user.email} is there already: find the user, then change them or send a new link",
            code="user.email.taken",
        )


def _apply(user: User, change: UserChange) -> User:
    return msgspec.structs.replace(
        user,
        name=user.name if change.name is None else change.name,
        role=change.role or user.role,
        state=user.state if change.state is None else change_state(user, change.state),
    )
