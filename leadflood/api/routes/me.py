"""What a person does with his own account: sessions, password, second factor."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.api.http.authorization import Person, require_session
from leadflood.api.http.idempotency import IdempotencyStore
from leadflood.api.http.pagination import Listed, Paging, paginate
from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import Route
from leadflood.api.http.unit_of_work import CommitAndRaise, UnitOfWork, run_once
from leadflood.api.routes.auth import Code, Password
from leadflood.api.routes.users import Ended
from leadflood.api.services import Node
from leadflood.domain.audit.schemas import AuditEntry
from leadflood.domain.auth.schemas import Enrolment, Session, UserView
from leadflood.domain.auth.service.accounts import AuthServices
from leadflood.engine.errors import Conflict, Denied, Invalid, NotFound, Throttled


class NewPassword(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """The present password and the next one."""

    old_password: Password
    new_password: Password


class Proof(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The password, or a code of the second factor: one of both is enough."""

    password: Password = ""
    code: Code = ""


class Verification(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The code that the app shows now."""

    code: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]


class RecoveryCodes(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Codes for when the app is lost; each works once. Shown now and never again."""

    recovery_codes: tuple[str, ...]


class SessionQuery(Paging, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """How much of the list."""


class EndQuery(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """Whether the session that asks goes on."""

    keep_current: bool = False


class EndedSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session that is over."""

    id: UUID


class AuthSelf:
    """The routes of one's own account."""

    def __init__(self, node: Node) -> None:
        self._node = node

    @property
    def _use(self) -> AuthServices:
        return self._node.services.accounts.use

    def routes(self) -> tuple[Route, ...]:
        """List the rows of the table."""
        path, own, proved = "/v1/auth", "self", (Denied, Throttled)
        return (
            Route(
                method="GET", path=f"{path}/sessions", handler=self.list_sessions, permission=own,
                errors=(Denied,),
            ),
            Route(
                method="DELETE", path=f"{path}/sessions", handler=self.end_sessions,
                permission=own, errors=(Denied,),
            ),
            Route(
                method="DELETE", path=f"{path}/sessions/{{sessionId}}", handler=self.end_session,
                permission=own, errors=(Denied, NotFound),
            ),
            Route(
                method="PUT", path=f"{path}/password", handler=self.change_password,
                permission=own, rate="auth", errors=(*proved, Invalid),
            ),
            Route(
                method="POST", path=f"{path}/totp", handler=self.enrol, permission=own,
                status=HTTPStatus.CREATED, errors=(Denied, Conflict),
            ),
            Route(
                method="POST", path=f"{path}/totp/verification", handler=self.confirm,
                permission=own, rate="auth", errors=(*proved, Conflict),
            ),
            Route(
                method="DELETE", path=f"{path}/totp", handler=self.remove_totp, permission=own,
                rate="auth", errors=proved,
            ),
            Route(
                method="POST", path=f"{path}/recovery-codes", handler=self.renew_codes,
                permission=own, rate="auth", status=HTTPStatus.CREATED, errors=proved,
            ),
        )  # fmt: skip

    async def list_sessions(self, query: SessionQuery, caller: Caller) -> Listed[Session]:
        """List one's own sessions in force, newest first."""
        person = require_session(caller)
        found = await self._use.sessions.list(
            self._node.services.db,
            person.user_id,
            person.session_id,
            query.position(),
            query.fetch_limit,
        )
        return paginate(found, query)

    async def end_sessions(self, query: EndQuery, caller: Caller) -> Ended:
        """End all of one's own sessions; this one too, unless `keepCurrent=true`."""
        person = require_session(caller)
        spared = person.session_id if query.keep_current else None

        async def do(uow: UnitOfWork) -> Ended:
            count = await self._use.sessions.revoke_all(uow.tx, person.user_id, "by_owner", spared)
            await uow.record(_entry("user.sessions_revoked", person, {"count": count}))
            return Ended(count=count)

        answer = await run_once(self._node.services, caller, Ended, do)
        self._use.credentials.forget()
        return answer

    async def end_session(self, session_id: UUID, caller: Caller) -> EndedSession:
        """End one of one's own sessions."""
        person = require_session(caller)

        async def do(uow: UnitOfWork) -> EndedSession:
            await self._use.sessions.revoke(uow.tx, session_id, person.user_id, "by_owner")
            entry = AuditEntry(
                action="session.revoked", subject_kind="session", subject_id=str(session_id)
            )
            await uow.record(entry)
            return EndedSession(id=session_id)

        answer = await run_once(self._node.services, caller, EndedSession, do)
        self._use.credentials.forget()
        return answer

    async def change_password(self, body: NewPassword, caller: Caller) -> UserView:
        """Change one's own password, by the present one; all other sessions end."""
        person, use = require_session(caller), self._use
        use.own_account.check_new_password(body.new_password, person.email)
        proof = await use.own_account.require_password(
            person.user_id, body.old_password, caller.address
        )
        hashed = await use.passwords.hash(body.new_password)

        async def do(uow: UnitOfWork) -> UserView:
            user = await use.own_account.change_password(uow.tx, proof, hashed, person.session_id)
            await uow.record(_entry("auth.password_changed", person))
            return user

        answer = await run_once(self._node.services, caller, UserView, do)
        use.credentials.forget()
        return answer

    async def enrol(self, caller: Caller) -> Enrolment:
        """Begin a second factor: its secret and otpauth URI for the app; not asked for yet."""
        person = require_session(caller)

        async def do(uow: UnitOfWork) -> Enrolment:
            enrolment = await self._use.own_account.enrol(uow.tx, person.user_id)
            await uow.record(_entry("auth.totp_enrolled", person))
            return enrolment

        return await run_once(self._node.services, caller, Enrolment, do, seal=self._use.seal)

    async def confirm(self, body: Verification, caller: Caller) -> RecoveryCodes:
        """Put the second factor in force by a code of the app; gives recovery codes, once."""
        person, use = require_session(caller), self._use
        if (known := await self._recall(caller)) is not None:
            return known
        async with use.own_account.attempt_code(person.user_id, caller.address) as attempt:

            async def do(uow: UnitOfWork) -> RecoveryCodes:
                codes = await use.own_account.confirm(uow.tx, attempt, body.code)
                if codes is None:
                    raise CommitAndRaise(wrong_proof())
                await uow.record(_entry("auth.totp_confirmed", person))
                return RecoveryCodes(recovery_codes=codes)

            return await run_once(self._node.services, caller, RecoveryCodes, do, seal=use.seal)

    async def remove_totp(self, body: Proof, caller: Caller) -> UserView:
        """Take one's own second factor away, by password or code."""
        person, use = require_session(caller), self._use
        async with use.own_account.attempt_proof(
            person.user_id, body.password, caller.address
        ) as judged:

            async def do(uow: UnitOfWork) -> UserView:
                user = await use.own_account.remove_totp(uow.tx, judged, body.code)
                if user is None:
                    raise CommitAndRaise(wrong_proof())
                await uow.record(_entry("auth.totp_removed", person))
                return user

            return await run_once(self._node.services, caller, UserView, do)

    async def renew_codes(self, body: Proof, caller: Caller) -> RecoveryCodes:
        """Make new recovery codes, by password or code; the former ones are void."""
        person, use = require_session(caller), self._use
        if (known := await self._recall(caller)) is not None:
            return known
        async with use.own_account.attempt_proof(
            person.user_id, body.password, caller.address
        ) as judged:

            async def do(uow: UnitOfWork) -> RecoveryCodes:
                codes = await use.own_account.renew_recovery_codes(uow.tx, judged, body.code)
                if codes is None:
                    raise CommitAndRaise(wrong_proof())
                await uow.record(_entry("auth.recovery_codes_renewed", person))
                return RecoveryCodes(recovery_codes=codes)

            return await run_once(self._node.services, caller, RecoveryCodes, do, seal=use.seal)

    async def _recall(self, caller: Caller) -> RecoveryCodes | None:
        services = self._node.services
        store = IdempotencyStore(services.clock, self._use.seal)
        answer: RecoveryCodes | None = await store.find(services.db, caller, RecoveryCodes)
        return answer


def wrong_proof() -> Denied:
    """Say that a password or code is wrong; not 401, for the session itself is good."""
    return Denied("the password or code is wrong", code="auth.proof.wrong")


def _entry(action: str, person: Person, detail: dict[str, int] | None = None) -> AuditEntry:
    return AuditEntry(
        action=action, subject_kind="user", subject_id=str(person.user_id),
        detail={**(detail or {})},
    )  # fmt: skip
