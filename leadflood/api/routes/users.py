"""The people of the team, and what holds for all of them."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.api.http.pagination import Listed, Paging, paginate
from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import delete, get, patch, post
from leadflood.api.http.unit_of_work import UnitOfWork
from leadflood.api.services import Services
from leadflood.domain.auth.schemas.credentials import EndedAccess
from leadflood.domain.auth.schemas.field_rights import GrantRight, PersonRight, declare
from leadflood.domain.auth.schemas.links import LinkKind
from leadflood.domain.auth.schemas.roles import Role
from leadflood.domain.auth.schemas.users import (
    EmailText,
    NameText,
    SalesRepSees,
    UserState,
    UserView,
)
from leadflood.domain.users.schemas import IssuedLink, Team, UserChange, UserFilter, UserUpdate
from leadflood.engine.errors import Conflict, Denied, Invalid, NotFound, PreconditionFailed

CHANGE_ERRORS = (Denied, NotFound, Invalid, Conflict, PreconditionFailed)


class Invitation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom to invite, as what."""

    email: EmailText
    role: Annotated[Role, declare(GrantRight())]
    name: NameText = ""


class ResetBody(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """Whether the second factor goes with the password: for who lost both."""

    removes_totp: Annotated[bool, declare(PersonRight())] = False


class UserPatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A change of a user; what is left out, or null, stays."""

    name: NameText | None = None
    role: Annotated[Role | None, declare(GrantRight())] = None
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


class TeamPatch(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """A change of the team's settings; what is left out, or null, stays."""

    sales_rep_sees: SalesRepSees | None = None


class Rotated(msgspec.Struct, frozen=True, kw_only=True):
    """The name of the key that new access tokens are signed with."""

    kid: str


@post(
    "/v1/users",
    permission="users:write",
    status=HTTPStatus.CREATED,
    errors=(Denied, Invalid, Conflict),
    is_sealed=True,
)
async def invite_user(
    body: Invitation, caller: Caller, services: Services, uow: UnitOfWork
) -> LinkAnswer:
    """Invite a person; the answer holds their one-time registration link."""
    await _require_proof(services, uow)
    invited = await services.users.invite(
        uow.tx, body.email, body.name, body.role, caller.principal
    )
    await uow.audit("user.invited", invited.user.id, role=body.role)
    return _show_link(invited, services)


@get("/v1/users", permission="users:read")
async def list_users(query: UserQuery, services: Services) -> Listed[UserView]:
    """List people, newest first."""
    filters = UserFilter(role=query.role, state=query.state, text=query.q or None)
    users = await services.users.list(filters, query.position(), query.fetch_limit)
    return paginate(users, query)


@get("/v1/users/{userId}", permission="users:read", errors=(NotFound,), shows_more=True)
async def get_user(user_id: UUID, services: Services) -> UserView:
    """Show a person."""
    return await services.users.get(user_id)


@patch("/v1/users/{userId}", permission="users:write", errors=CHANGE_ERRORS, takes_if_match=True)
async def change_user(
    user_id: UUID, body: UserPatch, services: Services, uow: UnitOfWork
) -> UserView:
    """Change a person's name, role or state; there is always an active ADMIN left."""
    if body.role is not None or body.state is not None:
        await _require_proof(services, uow)
    change = UserChange(name=body.name, role=body.role, state=body.state)
    return await _change_user(services, uow, user_id, change)


@delete("/v1/users/{userId}", permission="users:write", errors=CHANGE_ERRORS, takes_if_match=True)
async def disable_user(user_id: UUID, services: Services, uow: UnitOfWork) -> UserView:
    """Disable a person: their sessions, keys and links end; what they did keeps their name."""
    await _require_proof(services, uow)
    return await _change_user(services, uow, user_id, UserChange(state=UserState.DISABLED))


@post(
    "/v1/users/{userId}/invitation",
    permission="users:write",
    status=HTTPStatus.CREATED,
    errors=(Denied, NotFound, Conflict),
    is_sealed=True,
)
async def invite_user_again(user_id: UUID, services: Services, uow: UnitOfWork) -> LinkAnswer:
    """Create a new registration link for an invited user; the former one is void."""
    await _require_proof(services, uow)
    issued = await services.users.make_link(
        uow.tx, user_id, LinkKind.INVITATION, uow.caller.principal
    )
    await uow.audit("user.invited_again", user_id)
    return _show_link(issued, services)


@post(
    "/v1/users/{userId}/password-reset",
    permission="users:write",
    status=HTTPStatus.CREATED,
    errors=(Denied, NotFound, Conflict),
    is_sealed=True,
)
async def reset_password(
    user_id: UUID, body: ResetBody, services: Services, uow: UnitOfWork
) -> LinkAnswer:
    """Create a one-time link by which a user sets a new password; sessions and keys end then."""
    await _require_proof(services, uow)
    issued = await services.users.make_link(
        uow.tx, user_id, LinkKind.RESET, uow.caller.principal, removes_totp=body.removes_totp
    )
    await uow.audit("user.reset_link_made", user_id, removes_totp=body.removes_totp)
    return _show_link(issued, services)


@delete("/v1/users/{userId}/sessions", permission="users:write", errors=(Denied, NotFound))
async def end_user_sessions(user_id: UUID, services: Services, uow: UnitOfWork) -> EndedAccess:
    """End all sessions and keys of a person."""
    accounts = services.accounts.use
    await _require_proof(services, uow)
    await services.users.get_governed(uow.tx, user_id, uow.caller.principal)
    ended = await accounts.revocation.end_all(uow.tx, user_id, "by_administrator")
    uow.after_commit(accounts.credentials.forget)
    await uow.audit("user.sessions_revoked", user_id, count=ended.sessions, keys=ended.keys)
    return ended


@post(
    "/v1/admin/signing-keys",
    permission="admin:write",
    status=HTTPStatus.CREATED,
    errors=(Denied,),
)
async def rotate_signing_key(services: Services, uow: UnitOfWork) -> Rotated:
    """Sign access tokens with a new key; those signed before stay valid until they end."""
    await _require_proof(services, uow)
    signing_keys = services.accounts.use.signing_keys
    kid = await signing_keys.rotate(uow.tx)
    uow.after_commit(signing_keys.mark_stale)
    await uow.audit("signing_key.rotated", kid)
    return Rotated(kid=kid)


@get("/v1/team", permission="settings:read")
async def get_team(services: Services) -> Team:
    """Show what holds for the whole team."""
    return await services.team.get()


@patch(
    "/v1/team",
    permission="settings:write",
    errors=(Denied, PreconditionFailed),
    takes_if_match=True,
)
async def change_team(body: TeamPatch, caller: Caller, services: Services, uow: UnitOfWork) -> Team:
    """Change what holds for the team: whether a SALES_REP sees all leads or only their own."""
    if body.sales_rep_sees is None:
        return await services.team.get(uow.tx)
    await _require_proof(services, uow)
    team = await services.team.change(uow.tx, body.sales_rep_sees, caller.if_match)
    uow.after_commit(services.accounts.use.credentials.forget)
    await uow.audit("team.changed", sales_rep_sees=body.sales_rep_sees)
    return team


async def _require_proof(services: Services, uow: UnitOfWork) -> None:
    """Refuse a session without a fresh proof: what it gives, sets or takes outlives it.

    A key and the operator have no session to prove. Raises: Denied.
    """
    if (session_id := uow.caller.principal.session_id) is not None:
        await services.accounts.use.sessions.require_proof(uow.tx, session_id)


async def _change_user(
    services: Services, uow: UnitOfWork, user_id: UUID, change: UserChange
) -> UserView:
    update = await services.users.change(
        uow.tx, user_id, change, uow.caller.principal, uow.caller.if_match
    )
    uow.after_commit(services.accounts.use.credentials.forget)
    await _audit_update(uow, update)
    return update.after


async def _audit_update(uow: UnitOfWork, update: UserUpdate) -> None:
    """Record what changed of a person, one act each."""
    before, after = update.before, update.after
    if before.name != after.name:
        await uow.audit("user.renamed", after.id)
    if before.role != after.role:
        await uow.audit("user.role_changed", after.id, **{"from": before.role, "to": after.role})
    if before.state != after.state:
        await uow.audit("user.state_changed", after.id, **{"from": before.state, "to": after.state})


def _show_link(issued: IssuedLink, services: Services) -> LinkAnswer:
    return LinkAnswer(
        user=issued.user,
        kind=issued.link.kind,
        token=issued.link.token,
        link=f"{services.public_url.rstrip('/')}{issued.link.path}",
        expires_at=issued.link.expires_at,
    )
