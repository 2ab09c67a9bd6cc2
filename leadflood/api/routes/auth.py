"""Proving who one is: logging in and out, joining by a link, password and second factor."""

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, TypeVar
from uuid import UUID

import msgspec

from leadflood.api.http.idempotency import IdempotencyStore
from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import Route
from leadflood.api.http.unit_of_work import CommitAndRaise, UnitOfWork, run_once
from leadflood.api.services import Node
from leadflood.domain.audit.schemas import AuditEntry
from leadflood.domain.auth.schemas import (
    LinkKind,
    Permission,
    PrincipalKind,
    Role,
    SessionTokens,
    UserView,
)
from leadflood.domain.auth.service.accounts import AuthServices
from leadflood.domain.auth.service.login import LoginRefused, VerifiedPassword
from leadflood.domain.auth.service.registration import PreparedRegistration
from leadflood.domain.auth.service.sessions import ReusedToken
from leadflood.domain.users.schemas import Team
from leadflood.engine.errors import Conflict, Invalid, NotFound, Throttled, Unauthenticated

Email = Annotated[str, msgspec.Meta(min_length=1, max_length=254)]
Password = Annotated[str, msgspec.Meta(max_length=4_000)]
Code = Annotated[str, msgspec.Meta(max_length=40)]
Token = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Name = Annotated[str, msgspec.Meta(max_length=200)]
AnswerT = TypeVar("AnswerT")


class Login(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Address and password; `code` is the app's or a recovery code, where there is a factor."""

    email: Email
    password: Password
    code: Code = ""


class Refresh(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """The refresh token that came last."""

    refresh_token: Token


class Claim(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the first administrator gives; `token` stands in the claim link."""

    token: Token
    email: Email
    password: Password
    name: Name = ""


class Registration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody invited gives; `token` stands in his link. An empty name keeps the present."""

    token: Token
    password: Password
    name: Name = ""


class LoginAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Tokens of a session. `expiresAt` is the access token's; the refresh token works once."""

    token_type: str
    access_token: str
    refresh_token: str
    expires_at: datetime
    session_id: UUID
    user: UserView

    @staticmethod
    def of(tokens: SessionTokens, user: UserView) -> "LoginAnswer":
        """Tell tokens to their holder."""
        return LoginAnswer(
            token_type="Bearer",  # noqa: S106 - a scheme's name
            access_token=tokens.access_token,
            refresh_token=tokens.refresh_token,
            expires_at=tokens.expires_at,
            session_id=tokens.session_id,
            user=user,
        )


class Me(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Who asks. `user` and `role` null: the operator; `sessionId` null: not by a session.

    `seesOwner` null: sees all leads, else only those of this owner.
    """

    kind: PrincipalKind
    name: str
    user: UserView | None
    role: Role | None
    permissions: tuple[Permission, ...]
    session_id: UUID | None
    sees_owner: UUID | None
    team: Team


class LoggedOut(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A session that is over."""

    session_id: UUID


class Auth:
    """The routes of logging in and joining."""

    def __init__(self, node: Node) -> None:
        self._node = node

    @property
    def _use(self) -> AuthServices:
        return self._node.services.accounts.use

    def routes(self) -> tuple[Route, ...]:
        """List the rows of the table."""
        path, known, made = "/v1/auth", (Unauthenticated, Throttled), HTTPStatus.CREATED
        joins = (NotFound, Invalid, Conflict, Throttled)
        return (
            Route(
                method="POST", path=f"{path}/login", handler=self.login, permission="",
                is_open=True, rate="auth", errors=known,
            ),
            Route(
                method="POST", path=f"{path}/refresh", handler=self.refresh, permission="",
                is_open=True, rate="auth", errors=known,
            ),
            Route(
                method="POST", path=f"{path}/claim", handler=self.claim, permission="",
                is_open=True, rate="auth", status=made, errors=joins,
            ),
            Route(
                method="POST", path=f"{path}/register", handler=self.register, permission="",
                is_open=True, rate="auth", status=made, errors=joins,
            ),
            Route(
                method="POST", path=f"{path}/logout", handler=self.logout, permission="self",
                errors=(NotFound, Conflict),
            ),
            Route(method="GET", path=f"{path}/me", handler=self.me, permission="self"),
        )  # fmt: skip

    async def login(self, body: Login, caller: Caller) -> LoginAnswer:
        """Exchange address and password for an access token and a refresh token."""
        use = self._use
        if (known := await self._recall(caller, LoginAnswer)) is not None:
            return known
        await use.signing_keys.refresh()
        async with use.login.verify_password(body.email, body.password, caller.address) as checked:
            return await run_once(
                self._node.services, caller, LoginAnswer,
                lambda uow: self._enter(uow, checked, body.code), seal=use.seal,
            )  # fmt: skip

    async def _enter(self, uow: UnitOfWork, checked: VerifiedPassword, code: str) -> LoginAnswer:
        caller = uow.caller
        entered = await self._use.login.open_session(
            uow.tx, checked, code, caller.address, caller.user_agent
        )
        known_id = None if checked.attempt.user_id is None else str(checked.attempt.user_id)
        if isinstance(entered, LoginRefused):
            if entered.is_failure:
                await uow.record(_entry("login.failed", "user", known_id))
            raise CommitAndRaise(entered.error)
        detail = {"sessionId": str(entered.tokens.session_id)}
        await uow.record(_entry("login.succeeded", "user", known_id, detail))
        return LoginAnswer.of(entered.tokens, UserView.of(entered.user))

    async def refresh(self, body: Refresh, caller: Caller) -> LoginAnswer:
        """Exchange a refresh token for new tokens; shown a second time, it ends its session."""
        use = self._use
        await use.signing_keys.refresh()
        is_reused = False

        async def do(uow: UnitOfWork) -> LoginAnswer:
            nonlocal is_reused
            renewed = await use.sessions.renew(uow.tx, body.refresh_token, caller.address)
            if renewed is None:
                raise CommitAndRaise(_refresh_refused())
            if isinstance(renewed, ReusedToken):
                is_reused = True
                detail = {"userId": str(renewed.user_id)}
                subject_id = str(renewed.session_id)
                await uow.record(_entry("session.reuse_detected", "session", subject_id, detail))
                raise CommitAndRaise(_refresh_refused())
            user = await self._node.services.users.get(renewed.user_id, uow.tx)
            return LoginAnswer.of(renewed.tokens, user)

        try:
            return await run_once(self._node.services, caller, LoginAnswer, do, seal=use.seal)
        finally:
            if is_reused:
                use.credentials.forget()

    async def claim(self, body: Claim, caller: Caller) -> UserView:
        """Become the first administrator, by the claim link that the first start prints."""
        if (known := await self._recall(caller, UserView)) is not None:
            return known
        ready = await self._use.registration.prepare_claim(
            body.token, body.email, body.name, body.password
        )
        return await self.join(ready, caller, LinkKind.CLAIM)

    async def register(self, body: Registration, caller: Caller) -> UserView:
        """Set a password by a one-time link: an invitation, or a reset that ends all sessions."""
        if (known := await self._recall(caller, UserView)) is not None:
            return known
        ready = await self._use.registration.prepare(body.token, body.name, body.password)
        return await self.join(ready, caller, LinkKind.INVITATION)

    async def join(self, ready: PreparedRegistration, caller: Caller, kind: LinkKind) -> UserView:
        """Let somebody in whose link and password were checked. Raises: NotFound, Conflict."""
        use = self._use

        async def do(uow: UnitOfWork) -> UserView:
            take = use.registration.claim if kind is LinkKind.CLAIM else use.registration.register
            joined = await take(uow.tx, ready, caller.address)
            await uow.record(_entry(_JOINED[joined.kind], "user", str(joined.user.id)))
            return joined.user

        user = await run_once(self._node.services, caller, UserView, do, seal=use.seal)
        use.credentials.forget()
        return user

    async def logout(self, caller: Caller) -> LoggedOut:
        """End the session that asks: its access tokens and its refresh token."""
        principal = caller.principal
        session_id, user_id = principal.session_id, principal.user_id
        if session_id is None or user_id is None:
            raise Conflict(
                "only a session can log out: revoke a key instead", code="auth.logout.none"
            )

        async def do(uow: UnitOfWork) -> LoggedOut:
            await self._use.sessions.revoke(uow.tx, session_id, user_id, "logout")
            await uow.record(_entry("session.revoked", "session", str(session_id)))
            return LoggedOut(session_id=session_id)

        answer = await run_once(self._node.services, caller, LoggedOut, do)
        self._use.credentials.forget()
        return answer

    async def me(self, caller: Caller) -> Me:
        """Tell who asks, what he may, and what holds for the team."""
        principal, services = caller.principal, self._node.services
        user = None if principal.user_id is None else await services.users.get(principal.user_id)
        return Me(
            kind=principal.kind, name=principal.name, user=user, role=principal.role,
            permissions=tuple(sorted(principal.permissions)), session_id=principal.session_id,
            sees_owner=principal.sees_owner, team=await services.team.get(),
        )  # fmt: skip

    async def _recall(self, caller: Caller, kind: type[AnswerT]) -> AnswerT | None:
        services = self._node.services
        store = IdempotencyStore(services.clock, self._use.seal)
        answer: AnswerT | None = await store.find(services.db, caller, kind)
        return answer


_JOINED = {
    LinkKind.CLAIM: "installation.claimed",
    LinkKind.INVITATION: "user.registered",
    LinkKind.RESET: "user.password_reset",
}


def _entry(
    action: str, kind: str, subject_id: str | None, detail: Mapping[str, object] | None = None
) -> AuditEntry:
    return AuditEntry(action=action, subject_kind=kind, subject_id=subject_id, detail=detail or {})


def _refresh_refused() -> Unauthenticated:
    return Unauthenticated(
        "this refresh token is not valid (any more): log in again", code="auth.refresh.refused"
    )
