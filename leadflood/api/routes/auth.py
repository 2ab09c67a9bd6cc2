"""Authentication: logging in and out, and registration by a link."""

from datetime import datetime
from functools import partial
from http import HTTPStatus
from uuid import UUID

import msgspec

from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import get, post
from leadflood.api.http.unit_of_work import CommitAndRaise, LateUnitOfWork, Subject, UnitOfWork
from leadflood.api.services import Services
from leadflood.domain.auth.schemas.credentials import (
    CodeText,
    DeviceTokenText,
    PasswordText,
    SessionTokens,
    TokenText,
)
from leadflood.domain.auth.schemas.links import LinkKind
from leadflood.domain.auth.schemas.principals import PrincipalKind
from leadflood.domain.auth.schemas.roles import Permission, Role
from leadflood.domain.auth.schemas.users import EmailText, NameText, UserView
from leadflood.domain.auth.service.login import LoginRefused, VerifiedPassword
from leadflood.domain.auth.service.registration import PreparedRegistration
from leadflood.domain.auth.service.sessions import ReusedToken
from leadflood.domain.users.schemas import Team
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import (
    Conflict,
    Invalid,
    NotFound,
    Throttled,
    Transient,
    Unauthenticated,
)

REMEMBERS_SECONDS = 120.0
"""A retry after a lost answer gets the same tokens for this long, while their session lives."""
REGISTRATION_ERRORS = (NotFound, Invalid, Conflict, Throttled, Transient)
_REGISTERED = {
    LinkKind.CLAIM: "installation.claimed",
    LinkKind.INVITATION: "user.registered",
    LinkKind.RESET: "user.password_reset",
}


class Login(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Address and password; `code` is the app's or a recovery code, where there is a factor.

    `deviceToken` is that of an earlier login of this user on this device: with it, nobody's wrong
    guesses keep this device out.
    """

    email: EmailText
    password: PasswordText
    code: CodeText = ""
    device_token: DeviceTokenText = ""


class Refresh(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """The refresh token that came last."""

    refresh_token: TokenText


class ClaimBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first administrator's account; `token` stands in the claim link."""

    token: TokenText
    email: EmailText
    password: PasswordText
    name: NameText = ""


class Registration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A registration; `token` stands in the invitation's link. An empty name keeps the present."""

    token: TokenText
    password: PasswordText
    name: NameText = ""


class LoginAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Tokens of a session. `expiresAt` is the access token's; the refresh token works once.

    `deviceToken`: keep it on this device and send it with the next login (`accounts.device_days`);
    null after a refresh: the one there is stays good.
    """

    token_type: str
    access_token: str
    refresh_token: str
    expires_at: datetime
    session_id: UUID
    device_token: str | None
    user: UserView


class Me(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The caller. `user` and `role` null: the operator; `sessionId` null: not by a session.

    `seesOwner` null: sees all leads, else only those of this owner.
    """

    kind: PrincipalKind
    name: str
    user: UserView | None
    role: Role | None
    permissions: tuple[Permission, ...]
    session_id: UUID | None
    visible_owner_id: UUID | None = msgspec.field(name="seesOwner")
    team: Team


class LoggedOut(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A session that is over."""

    session_id: UUID


@post(
    "/v1/auth/login",
    is_open=True,
    rate="auth",
    errors=(Unauthenticated, Throttled, Transient),
    is_sealed=True,
    remembers_seconds=REMEMBERS_SECONDS,
)
async def login(
    body: Login, caller: Caller, services: Services, late_uow: LateUnitOfWork[LoginAnswer]
) -> LoginAnswer:
    """Exchange address and password for an access token and a refresh token.

    A try counts before its key is looked at: a remembered answer must not tell who guesses more.
    """
    accounts = services.accounts.use
    await accounts.signing_keys.refresh()
    verified = await accounts.login.verify_password(
        body.email, body.password, caller.address, body.device_token
    )
    return await late_uow.run(
        partial(_open_session, services, verified, body.code), partial(_lives, services)
    )


async def _open_session(
    services: Services, verified: VerifiedPassword, code: str, uow: UnitOfWork
) -> LoginAnswer:
    caller, subject = uow.caller, Subject("user", verified.attempt.user_id)
    result = await services.accounts.use.login.open_session(
        uow.tx, verified, code, caller.address, caller.user_agent
    )
    if isinstance(result, LoginRefused):
        if result.is_failure:
            await uow.audit("login.failed", subject)
        raise CommitAndRaise(result.error)
    await uow.audit("login.succeeded", subject, session_id=result.tokens.session_id)
    return _show_tokens(result.tokens, UserView.of(result.user), result.device_token)


@post(
    "/v1/auth/refresh",
    is_open=True,
    errors=(Unauthenticated, Throttled),
    is_sealed=True,
    remembers_seconds=REMEMBERS_SECONDS,
)
async def refresh(
    body: Refresh, services: Services, late_uow: LateUnitOfWork[LoginAnswer]
) -> LoginAnswer:
    """Exchange a refresh token for new tokens; shown a second time, it ends its session."""
    await services.accounts.use.signing_keys.refresh()
    return await late_uow.run(
        partial(_renew_session, services, body.refresh_token), partial(_lives, services)
    )


async def _lives(services: Services, tx: Tx, answer: LoginAnswer) -> bool:
    """Whether the session of a remembered answer still is in force."""
    return await services.accounts.use.sessions.is_in_force(tx, answer.session_id)


async def _renew_session(services: Services, refresh_token: str, uow: UnitOfWork) -> LoginAnswer:
    accounts = services.accounts.use
    renewed = await accounts.sessions.renew(uow.tx, refresh_token, uow.caller.address)
    if renewed is None:
        raise CommitAndRaise(_refresh_refused())
    if isinstance(renewed, ReusedToken):
        uow.after_commit(accounts.credentials.forget)
        await uow.audit("session.reuse_detected", renewed.session_id, user_id=renewed.user_id)
        raise CommitAndRaise(_refresh_refused())
    return _show_tokens(renewed.tokens, await services.users.get(renewed.user_id, uow.tx))


@post(
    "/v1/auth/claim",
    is_open=True,
    rate="auth",
    status=HTTPStatus.CREATED,
    errors=REGISTRATION_ERRORS,
    is_sealed=True,
)
async def claim(
    body: ClaimBody, services: Services, late_uow: LateUnitOfWork[UserView]
) -> UserView:
    """Become the first administrator, by the claim link that the first start prints."""
    if (remembered := await late_uow.recall()) is not None:
        return remembered
    prepared = await services.accounts.use.registration.prepare_claim(
        body.token, body.email, body.name, body.password
    )
    return await late_uow.run(partial(complete_registration, services, prepared))


@post(
    "/v1/auth/register",
    is_open=True,
    rate="auth",
    status=HTTPStatus.CREATED,
    errors=REGISTRATION_ERRORS,
    is_sealed=True,
)
async def register(
    body: Registration, services: Services, late_uow: LateUnitOfWork[UserView]
) -> UserView:
    """Set a password by a one-time link: an invitation, or a reset that ends all sessions."""
    if (remembered := await late_uow.recall()) is not None:
        return remembered
    prepared = await services.accounts.use.registration.prepare(
        body.token, body.name, body.password
    )
    return await late_uow.run(partial(complete_registration, services, prepared))


async def complete_registration(
    services: Services, prepared: PreparedRegistration, uow: UnitOfWork
) -> UserView:
    """Log a user in whose link and password were checked. Raises: NotFound, Conflict."""
    accounts = services.accounts.use
    registered = await accounts.registration.complete(uow.tx, prepared, uow.caller.address)
    uow.after_commit(accounts.credentials.forget)
    await uow.audit(_REGISTERED[registered.kind], Subject("user", registered.user.id))
    if registered.removes_totp:
        await uow.audit("auth.totp_removed", Subject("user", registered.user.id))
    return registered.user


@post("/v1/auth/logout", permission="self", errors=(NotFound, Conflict))
async def logout(caller: Caller, services: Services, uow: UnitOfWork) -> LoggedOut:
    """End the session that asks: its access tokens and its refresh token."""
    principal, accounts = caller.principal, services.accounts.use
    session_id, user_id = principal.session_id, principal.user_id
    if session_id is None or user_id is None:
        raise Conflict("only a session can log out: revoke a key instead", code="auth.logout.none")
    await accounts.sessions.revoke(uow.tx, session_id, user_id, "logout")
    uow.after_commit(accounts.credentials.forget)
    await uow.audit("session.revoked", session_id)
    return LoggedOut(session_id=session_id)


@get("/v1/auth/me", permission="self")
async def show_me(caller: Caller, services: Services) -> Me:
    """Show who asks, what they may do, and what holds for the team."""
    principal = caller.principal
    user = None if principal.user_id is None else await services.users.get(principal.user_id)
    return Me(
        kind=principal.kind,
        name=principal.name,
        user=user,
        role=principal.role,
        permissions=tuple(sorted(principal.permissions)),
        session_id=principal.session_id,
        visible_owner_id=principal.visibility.owner_id,
        team=await services.team.get(),
    )


def _show_tokens(
    tokens: SessionTokens, user: UserView, device_token: str | None = None
) -> LoginAnswer:
    return LoginAnswer(
        token_type="Bearer",  # noqa: S106 - a scheme's name
        access_token=tokens.access_token,
        refresh_token=tokens.refresh_token,
        expires_at=tokens.expires_at,
        session_id=tokens.session_id,
        device_token=device_token,
        user=user,
    )


def _refresh_refused() -> Unauthenticated:
    return Unauthenticated(
        "this refresh token is not valid (any more): log in again", code="auth.refresh.refused"
    )
