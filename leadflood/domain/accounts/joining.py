"""How people come in: the first one claims, others register by invitation or reset a password."""

from typing import cast
from uuid import UUID

import msgspec

from leadflood.domain.accounts import store
from leadflood.domain.accounts.attempts import Attempts
from leadflood.domain.accounts.factors import Factors
from leadflood.domain.accounts.links import Links, unknown_link
from leadflood.domain.accounts.passwords import Passwords
from leadflood.domain.accounts.rules import check_password, normalize_email
from leadflood.domain.accounts.schemas import (
    Link,
    LinkHolder,
    LinkKind,
    Role,
    User,
    UserState,
    UserView,
)
from leadflood.domain.accounts.sessions import Sessions
from leadflood.domain.accounts.sql import SQL
from leadflood.engine.clock import Clock
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import Conflict
from leadflood.engine.ids import Ids


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """A link that works with what its holder gives: checked, the password hashed."""

    token: str
    email: str
    name: str
    password_hash: str


class Joined(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody came in, or is back."""

    user: UserView
    kind: LinkKind


class JoiningParts(msgspec.Struct, frozen=True, kw_only=True):
    """What joining needs."""

    db: Database
    clock: Clock
    ids: Ids
    links: Links
    passwords: Passwords
    attempts: Attempts
    sessions: Sessions
    factors: Factors


class Joining:
    """The use cases of one-time links: hash outside a transaction, take the link inside one."""

    def __init__(self, parts: JoiningParts) -> None:
        self._parts = parts

    async def make_claim_link(self) -> Link | None:
        """Make a fresh claim link; None: somebody has claimed already."""
        async with self._parts.db.transaction() as tx:
            await tx.execute(SQL.lock_accounts, what="claim")
            if await store.has_active_user(tx):
                return None
            return await self._parts.links.make(tx, LinkKind.CLAIM)

    async def find(self, token: str) -> LinkHolder | None:
        """Find what a link is for; None: it does not work."""
        return await self._parts.links.find(self._parts.db, token)

    async def prepare_claim(self, token: str, email: str, name: str, password: str) -> Ready:
        """Check what the first administrator gives. Raises: NotFound, Invalid."""
        if (await self._parts.links.get(self._parts.db, token)).kind is not LinkKind.CLAIM:
            raise unknown_link()
        return await self._prepare(token, normalize_email(email), name, password)

    async def prepare(self, token: str, name: str, password: str) -> Ready:
        """Check what somebody with a link of his own gives. Raises: NotFound, Invalid."""
        holder = await self._parts.links.get(self._parts.db, token)
        if holder.email is None:
            raise unknown_link()
        return await self._prepare(token, holder.email, name or holder.name or "", password)

    async def _prepare(self, token: str, email: str, name: str, password: str) -> Ready:
        check_password(password, email)
        hashed = await self._parts.passwords.hash(password)
        return Ready(token=token, email=email, name=name, password_hash=hashed)

    async def claim(self, tx: Tx, ready: Ready, remote: str) -> Joined:
        """Make the first administrator, once. Raises: NotFound, Conflict."""
        parts, now = self._parts, self._parts.clock.now()
        await tx.execute(SQL.lock_accounts, what="claim")
        if (await parts.links.take(tx, ready.token)).kind is not LinkKind.CLAIM:
            raise unknown_link()
        if await store.has_active_user(tx):
            raise Conflict("somebody has claimed this installation", code="auth.claim.done")
        user = User(
            id=parts.ids.new(), version=1, email=ready.email, name=ready.name, role=Role.ADMIN,
            state=UserState.ACTIVE, password_hash=ready.password_hash, totp_secret=None,
            totp_confirmed_at=None, totp_last_step=0, created_at=now, updated_at=now,
            last_login_at=None,
        )  # fmt: skip
        if not await store.add_user(tx, user):
            raise Conflict(
                f"{ready.email} was invited: register by that link, or claim with another address",
                code="user.email.taken",
            )
        await tx.execute(SQL.drop_claim_links)
        await parts.attempts.know(tx, user.id, remote)
        return Joined(user=UserView.of(user), kind=LinkKind.CLAIM)

    async def register(self, tx: Tx, ready: Ready, remote: str) -> Joined:
        """Set the password of whom a link was made for; sessions of before are over.

        Raises: NotFound.
        """
        parts = self._parts
        holder = await parts.links.take(tx, ready.token)
        if holder.user_id is None:
            raise unknown_link()
        user = cast("User", await store.lock_user(tx, holder.user_id))
        await tx.execute(
            SQL.set_password, id=user.id, password_hash=ready.password_hash, now=parts.clock.now()
        )
        await tx.execute(SQL.set_user_name, id=user.id, name=ready.name)
        await parts.sessions.revoke_all(tx, user.id, "password_reset")
        if holder.removes_totp:
            await parts.factors.remove(tx, user)
        await parts.attempts.know(tx, user.id, remote)
        return Joined(user=await self._view(tx, user.id), kind=holder.kind)

    async def _view(self, tx: Tx, user_id: UUID) -> UserView:
        return UserView.of(cast("User", await store.find_user(tx, user_id)))
