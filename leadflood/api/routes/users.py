"""The people of the team, and what holds for all of them."""

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.api.http.pagination import Listed, Paging, paginate
from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import Route
from leadflood.api.http.unit_of_work import UnitOfWork, run_once
from leadflood.api.services import Node
from leadflood.domain.audit.schemas import AuditEntry
from leadflood.domain.auth.schemas import LinkKind, Role, SalesRepSees, UserState, UserView
from leadflood.domain.auth.service.accounts import AuthServices
from leadflood.domain.users.schemas import IssuedLink, Team, UserChange, UserFilter, UserUpdate
from leadflood.engine.errors import Conflict, Invalid, NotFound, PreconditionFailed

Email = Annotated[str, msgspec.Meta(min_length=1, max_length=254)]
Name = Annotated[str, msgspec.Meta(max_length=200)]


class Invitation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom to invite, as what."""

    email: Email
    role: Role
    name: Name = ""


class ResetBody(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """Whether the second factor goes with the password: for who lost both."""

    removes_totp: bool = False


class UserPatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What changes of a person; what is left out, or null, stays."""

    name: Name | None = None
    role: Role | None = None
    state: UserState | None = None


class UserQuery(Paging, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Which people; `q` is looked for in address and name."""

    role: Role | None = None
    state: UserState | None = None
    q: Annotated[str, msgspec.Meta(max_length=200)] = ""


class LinkAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A one-time link, shown once: give it to this person alone.

    `link` is the page behind it, below `http.public_url` where that is set; `token` is for
    POST /v1/auth/register. A newer link replaces it.
    """

    user: UserView
    kind: LinkKind
    token: str
    link: str
    expires_at: datetime


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How many were ended."""

    count: int


class TeamPatch(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """What changes for the team; what is left out, or null, stays."""

    sales_rep_sees: SalesRepSees | None = None


class Rotated(msgspec.Struct, frozen=True, kw_only=True):
    """The name of the key that new access tokens are signed with."""

    kid: str


class Users:
    """The routes of people."""

    def __init__(self, node: Node) -> None:
        self._node = node

    @property
    def _use(self) -> AuthServices:
        return self._node.services.accounts.use

    def routes(self) -> tuple[Route, ...]:
        """List the rows of the table."""
        path, one = "/v1/users", "/v1/users/{userId}"
        read, write, made = "users:read", "users:write", HTTPStatus.CREATED
        changes = (NotFound, Invalid, Conflict, PreconditionFailed)
        return (
            Route(
                method="POST", path=path, handler=self.invite, permission=write, status=made,
                errors=(Invalid, Conflict),
            ),
            Route(method="GET", path=path, handler=self.list, permission=read),
            Route(
                method="GET", path=one, handler=self.get, permission=read, errors=(NotFound,),
                shows_more=True,
            ),
            Route(
                method="PATCH", path=one, handler=self.change, permission=write, errors=changes,
                takes_if_match=True,
            ),
            Route(
                method="DELETE", path=one, handler=self.disable, permission=write, errors=changes,
                takes_if_match=True,
            ),
            Route(
                method="POST", path=f"{one}/invitation", handler=self.invite_again,
                permission=write, status=made, errors=(NotFound, Conflict),
            ),
            Route(
                method="POST", path=f"{one}/password-reset", handler=self.reset_password,
                permission=write, status=made, errors=(NotFound, Conflict),
            ),
            Route(
                method="DELETE", path=f"{one}/sessions", handler=self.end_sessions,
                permission=write, errors=(NotFound,),
            ),
            Route(
                method="POST", path="/v1/admin/signing-keys", handler=self.rotate_signing_key,
                permission="admin:write", status=made,
            ),
            Route(method="GET", path="/v1/team", handler=self.team, permission="settings:read"),
            Route(
                method="PATCH", path="/v1/team", handler=self.change_team,
                permission="settings:write", errors=(PreconditionFailed,), takes_if_match=True,
            ),
        )  # fmt: skip

    async def invite(self, body: Invitation, caller: Caller) -> LinkAnswer:
        """Invite a person; the answer holds his one-time registration link."""

        async def do(uow: UnitOfWork) -> LinkAnswer:
            invited = await self._node.services.users.invite(
                uow.tx, body.email, body.name, body.role
            )
            await uow.record(_entry("user.invited", invited.user.id, {"role": body.role.value}))
            return self._show(invited)

        return await run_once(self._node.services, caller, LinkAnswer, do, seal=self._use.seal)

    async def list(self, query: UserQuery) -> Listed[UserView]:
        """List people, newest first."""
        wanted = UserFilter(role=query.role, state=query.state, text=query.q or None)
        found = await self._node.services.users.list(wanted, query.position(), query.fetch_limit)
        return paginate(found, query)

    async def get(self, user_id: UUID) -> UserView:
        """Show a person."""
        return await self._node.services.users.get(user_id)

    async def change(self, user_id: UUID, body: UserPatch, caller: Caller) -> UserView:
        """Change a person's name, role or state; there is always an active ADMIN left."""
        return await self._change(
            user_id, UserChange(name=body.name, role=body.role, state=body.state), caller
        )

    async def disable(self, user_id: UUID, caller: Caller) -> UserView:
        """Disable a person: his sessions, keys and links end; what he did keeps his name."""
        return await self._change(user_id, UserChange(state=UserState.DISABLED), caller)

    async def _change(self, user_id: UUID, change: UserChange, caller: Caller) -> UserView:
        async def do(uow: UnitOfWork) -> UserView:
            changed = await self._node.services.users.change(
                uow.tx, user_id, change, caller.if_match
            )
            await uow.record(*_entries_of(changed))
            return changed.after

        answer = await run_once(self._node.services, caller, UserView, do)
        self._use.credentials.forget()
        return answer

    async def invite_again(self, user_id: UUID, caller: Caller) -> LinkAnswer:
        """Make a new registration link for who has not registered yet; the former one is void."""
        return await self._link(user_id, caller, LinkKind.INVITATION, removes_totp=False)

    async def reset_password(self, user_id: UUID, body: ResetBody, caller: Caller) -> LinkAnswer:
        """Make a one-time link by which a person sets a new password; his sessions end then."""
        return await self._link(user_id, caller, LinkKind.RESET, removes_totp=body.removes_totp)

    async def _link(
        self, user_id: UUID, caller: Caller, kind: LinkKind, *, removes_totp: bool
    ) -> LinkAnswer:
        async def do(uow: UnitOfWork) -> LinkAnswer:
            made = await self._node.services.users.make_link(
                uow.tx, user_id, kind, removes_totp=removes_totp
            )
            detail = {"removesTotp": removes_totp} if kind is LinkKind.RESET else {}
            await uow.record(_entry(_LINKED[kind], user_id, detail))
            return self._show(made)

        return await run_once(self._node.services, caller, LinkAnswer, do, seal=self._use.seal)

    async def end_sessions(self, user_id: UUID, caller: Caller) -> Ended:
        """End all sessions of a person; his keys stay."""

        async def do(uow: UnitOfWork) -> Ended:
            await self._node.services.users.get(user_id, uow.tx)
            count = await self._use.sessions.revoke_all(uow.tx, user_id, "by_administrator")
            await uow.record(_entry("user.sessions_revoked", user_id, {"count": count}))
            return Ended(count=count)

        answer = await run_once(self._node.services, caller, Ended, do)
        self._use.credentials.forget()
        return answer

    async def rotate_signing_key(self, caller: Caller) -> Rotated:
        """Sign access tokens with a new key; those signed before stay valid until they end."""

        async def do(uow: UnitOfWork) -> Rotated:
            kid = await self._use.signing_keys.rotate(uow.tx)
            entry = AuditEntry(
                action="signing_key.rotated", subject_kind="signing_key", subject_id=kid
            )
            await uow.record(entry)
            return Rotated(kid=kid)

        answer = await run_once(self._node.services, caller, Rotated, do)
        self._use.signing_keys.mark_stale()
        return answer

    async def team(self) -> Team:
        """Show what holds for the whole team."""
        return await self._node.services.team.get()

    async def change_team(self, body: TeamPatch, caller: Caller) -> Team:
        """Change what holds for the team: whether a SALES_REP sees all leads or only his own."""
        sees = body.sales_rep_sees
        if sees is None:
            return await self._node.services.team.get()

        async def do(uow: UnitOfWork) -> Team:
            team = await self._node.services.team.change(uow.tx, sees, caller.if_match)
            detail = {"salesRepSees": sees.value}
            entry = AuditEntry(action="team.changed", subject_kind="team", detail=detail)
            await uow.record(entry)
            return team

        answer = await run_once(self._node.services, caller, Team, do)
        self._use.credentials.forget()
        return answer

    def _show(self, made: IssuedLink) -> LinkAnswer:
        return LinkAnswer(
            user=made.user, kind=made.link.kind, token=made.link.token,
            link=f"{self._node.services.public_url.rstrip('/')}{made.link.path}",
            expires_at=made.link.expires_at,
        )  # fmt: skip


_LINKED = {LinkKind.INVITATION: "user.invited_again", LinkKind.RESET: "user.reset_link_made"}


def _entry(action: str, user_id: UUID, detail: Mapping[str, object]) -> AuditEntry:
    return AuditEntry(
        action=action, subject_kind="user", subject_id=str(user_id), detail={**detail}
    )


def _entries_of(changed: UserUpdate) -> list[AuditEntry]:
    """Tell what was changed of a person, one act each."""
    before, after = changed.before, changed.after
    entries = []
    if before.name != after.name:
        entries.append(_entry("user.renamed", after.id, {}))
    for action, was, is_now in (
        ("user.role_changed", before.role, after.role),
        ("user.state_changed", before.state, after.state),
    ):
        if was != is_now:
            entries.append(_entry(action, after.id, {"from": was.value, "to": is_now.value}))
    return entries
