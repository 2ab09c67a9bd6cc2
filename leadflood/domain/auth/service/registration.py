"""Registration by one-time links: a claim, an invitation, or the reset of a password."""

import msgspec

from leadflood.domain.auth.repository import one_time_links, users
from leadflood.domain.auth.repository.locks import lock_subject
from leadflood.domain.auth.rules.email_addresses import normalize_email
from leadflood.domain.auth.schemas.links import LinkHolder, LinkKind, OneTimeLink
from leadflood.domain.auth.schemas.roles import Role
from leadflood.domain.auth.schemas.users import NewUser, UserView
from leadflood.domain.auth.service.login import LoginParts
from leadflood.domain.auth.service.one_time_links import OneTimeLinks, unknown_link
from leadflood.domain.auth.service.user_accounts import UserAccounts
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import Conflict

_LOCK = "claim"


class PreparedRegistration(msgspec.Struct, frozen=True, kw_only=True):
    """A valid link with what its holder entered: checked, the password hashed.

    `is_claim`: the link makes the first administrator.
    """

    token: str
    is_claim: bool
    email: str
    name: str
    password_hash: str


class Registered(msgspec.Struct, frozen=True, kw_only=True):
    """A user who came in, or is back. `kind` is the link's, as is whether it `removes_totp`."""

    user: UserView
    kind: LinkKind
    removes_totp: bool = False


class RegistrationService:
    """The use cases of one-time links: hash outside a transaction, use the link inside one."""

    def __init__(self, parts: LoginParts, accounts: UserAccounts, links: OneTimeLinks) -> None:
        self._parts = parts
        self._accounts = accounts
        self._links = links

    async def make_claim_link(self) -> OneTimeLink | None:
        """Create a fresh claim link; None: the node is claimed already."""
        async with self._parts.db.transaction() as tx:
            await lock_subject(tx, _LOCK)
            if await users.has_active_user(tx):
                return None
            return await self._links.create(tx, LinkKind.CLAIM)

    async def find(self, token: str) -> LinkHolder | None:
        """Find the holder of a link; None: it is not valid."""
        return await self._links.find(self._parts.db, token)

    async def prepare_claim(
        self, token: str, email: str, name: str, password: str
    ) -> PreparedRegistration:
        """Check what the first administrator entered. Raises: NotFound, Invalid."""
        if (await self._links.get(self._parts.db, token)).kind is not LinkKind.CLAIM:
            raise unknown_link()
        prepared = await self._prepare(token, normalize_email(email), name, password)
        return msgspec.structs.replace(prepared, is_claim=True)

    async def prepare(self, token: str, name: str, password: str) -> PreparedRegistration:
        """Check what the holder of a personal link entered. Raises: NotFound, Invalid."""
        holder = await self._links.get(self._parts.db, token)
        if holder.email is None:
            raise unknown_link()
        return await self._prepare(token, holder.email, name or holder.name or "", password)

    async def complete(self, tx: Tx, prepared: PreparedRegistration, address: str) -> Registered:
        """Use the link up: add the first administrator, or set a password.

        Raises: NotFound, Conflict.
        """
        if prepared.is_claim:
            return await self._claim(tx, prepared, address)
        return await self._register(tx, prepared, address)

    async def _claim(self, tx: Tx, prepared: PreparedRegistration, address: str) -> Registered:
        """Add the first administrator, once. Raises: NotFound, Conflict."""
        await lock_subject(tx, _LOCK)
        if (await self._links.consume(tx, prepared.token)).kind is not LinkKind.CLAIM:
            raise unknown_link()
        if await users.has_active_user(tx):
            raise Conflict("somebody has claimed this installation", code="auth.claim.done")
        new = NewUser(
            email=prepared.email,
            name=prepared.name,
            role=Role.ADMIN,
            password_hash=prepared.password_hash,
        )
        user = await self._accounts.add(tx, new)
        if user is None:
            raise Conflict(
                f"{new.email} was invited: register by that link, or claim with another address",
                code="user.email.taken",
            )
        await one_time_links.delete_claim_links(tx)
        await self._parts.throttle.record_address(tx, user.id, address)
        return Registered(user=UserView.of(user), kind=LinkKind.CLAIM)

    async def _register(self, tx: Tx, prepared: PreparedRegistration, address: str) -> Registered:
        """Set the password of the link's user; their sessions and keys end. Raises: NotFound."""
        parts = self._parts
        holder = await self._links.consume(tx, prepared.token)
        if holder.user_id is None:
            raise unknown_link()
        user = await self._accounts.lock(tx, holder.user_id)
        await users.set_password(tx, user.id, prepared.password_hash, parts.clock.now())
        await users.set_user_name(tx, user.id, prepared.name)
        await parts.revocation.end_all(tx, user.id, "password_reset")
        if holder.removes_totp:
            await parts.two_factor.remove(tx, user)
        await parts.throttle.record_address(tx, user.id, address)
        registered = await self._accounts.get(tx, user.id)
        return Registered(
            user=UserView.of(registered), kind=holder.kind, removes_totp=holder.removes_totp
        )

    async def _prepare(
        self, token: str, email: str, name: str, password: str
    ) -> PreparedRegistration:
        await self._parts.passwords.check(password, email)
        password_hash = await self._parts.passwords.hash(password)
        return PreparedRegistration(
            token=token, is_claim=False, email=email, name=name, password_hash=password_hash
        )
