"""One's own account: sessions, password, second factor."""

from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.api.http.authorization import require_session
from leadflood.api.http.pagination import Listed, Paging, paginate
from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import delete, get, post, put
from leadflood.api.http.unit_of_work import CommitAndRaise, LateUnitOfWork, Subject, UnitOfWork
from leadflood.api.services import Services
from leadflood.domain.auth.schemas.credentials import (
    CodeText,
    EndedAccess,
    Enrollment,
    PasswordText,
    Session,
)
from leadflood.domain.auth.schemas.users import UserView
from leadflood.domain.auth.service.login_throttle import AttemptOrigin
from leadflood.domain.auth.service.own_account import (
    IdentityProof,
    PasswordChanged,
    wrong_proof,
)
from leadflood.engine.errors import Conflict, Denied, Invalid, NotFound, Throttled, Transient


class NewPassword(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """The present password and the next one; `endsKeys`: whether all API keys end with it.

    A key works without the password: say true where somebody may have had it. `code`: where a
    second factor is in force, a code of it or a recovery code.
    """

    old_password: PasswordText
    new_password: PasswordText
    ends_keys: bool
    code: CodeText = ""


class Proof(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The password; where a second factor is in force: a code of it, or a recovery code."""

    password: PasswordText = ""
    code: CodeText = ""


class Verification(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The code that the app shows now, or a recovery code."""

    code: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]


class RecoveryCodes(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Codes for when the app is lost; each works once. Shown now and never again."""

    recovery_codes: tuple[str, ...]


class SessionQuery(Paging, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """How much of the list."""


class EndQuery(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """Whether the session that asks goes on, and whether all API keys end too."""

    keep_current: bool = False
    ends_keys: bool = False


class Proved(msgspec.Struct, frozen=True, kw_only=True):
    """Until when this session may make keys and factors."""

    until: datetime


class EndedSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session that is over."""

    id: UUID


@get("/v1/auth/sessions", permission="self", errors=(Denied,))
async def list_sessions(query: SessionQuery, caller: Caller, services: Services) -> Listed[Session]:
    """List one's own sessions in force, newest first."""
    person, sessions = require_session(caller), services.accounts.use.sessions
    page = await sessions.list(
        services.db, person.user_id, person.session_id, query.position(), query.fetch_limit
    )
    return paginate(page, query)


@delete("/v1/auth/sessions", permission="self", errors=(Denied,))
async def end_sessions(
    query: EndQuery, caller: Caller, services: Services, uow: UnitOfWork
) -> EndedAccess:
    """End all of one's own sessions; this one too, unless `keepCurrent=true`. Keys are listed."""
    person, accounts = require_session(caller), services.accounts.use
    spared_id = person.session_id if query.keep_current else None
    ended = await accounts.revocation.end_all(
        uow.tx, person.user_id, "by_owner", spared=spared_id, ends_keys=query.ends_keys
    )
    uow.after_commit(accounts.credentials.forget)
    await uow.audit("user.sessions_revoked", person.user_id, count=ended.sessions, keys=ended.keys)
    return ended


@delete("/v1/auth/sessions/{sessionId}", permission="self", errors=(Denied, NotFound))
async def end_session(
    session_id: UUID, caller: Caller, services: Services, uow: UnitOfWork
) -> EndedSession:
    """End one of one's own sessions."""
    person, accounts = require_session(caller), services.accounts.use
    await accounts.sessions.revoke(uow.tx, session_id, person.user_id, "by_owner")
    uow.after_commit(accounts.credentials.forget)
    await uow.audit("session.revoked", session_id)
    return EndedSession(id=session_id)


@put(
    "/v1/auth/password",
    permission="self",
    rate="auth",
    errors=(Denied, Throttled, Transient, Invalid),
)
async def change_password(
    body: NewPassword,
    caller: Caller,
    services: Services,
    late_uow: LateUnitOfWork[PasswordChanged],
) -> PasswordChanged:
    """Change one's own password, by the present one and the factor; all other sessions end."""
    person, accounts = require_session(caller), services.accounts.use
    account = accounts.own_account
    await account.check_new_password(body.new_password, person.email)
    proof = await account.require_password(person.user_id, body.old_password, _origin_of(caller))
    password_hash = await accounts.passwords.hash(body.new_password)
    async with late_uow.open() as uow:
        await account.require_factor(uow.tx, proof, body.code)
        uow.after_commit(accounts.credentials.forget)
        await uow.audit("auth.password_changed", Subject("user", person.user_id))
        return await account.change_password(
            uow.tx, proof, password_hash, spared=person.session_id, ends_keys=body.ends_keys
        )


@post(
    "/v1/auth/proof",
    permission="self",
    rate="auth",
    errors=(Denied, Throttled, Transient),
    is_sealed=True,
)
async def prove(
    body: Proof, caller: Caller, services: Services, late_uow: LateUnitOfWork[Proved]
) -> Proved:
    """Prove again who one is, by password, or by a code where a factor is in force."""
    person, account = require_session(caller), services.accounts.use.own_account
    proof = await account.attempt_proof(person.user_id, body.password, _origin_of(caller))
    return await late_uow.run(partial(_prove, services, proof, body.code, person.session_id))


async def _prove(
    services: Services, proof: IdentityProof, code: str, session_id: UUID, uow: UnitOfWork
) -> Proved:
    until = await services.accounts.use.own_account.prove(uow.tx, proof, code, session_id)
    if until is None:
        raise CommitAndRaise(wrong_proof())
    return Proved(until=until)


@post(
    "/v1/auth/totp",
    permission="self",
    status=HTTPStatus.CREATED,
    errors=(Denied, Conflict),
    is_sealed=True,
)
async def enroll_totp(caller: Caller, services: Services, uow: UnitOfWork) -> Enrollment:
    """Start a second factor: its secret and otpauth URI for the app; not in force yet."""
    person = require_session(caller)
    enrollment = await services.accounts.use.own_account.enroll(
        uow.tx, person.user_id, person.session_id
    )
    await uow.audit("auth.totp_enrolled", Subject("user", person.user_id))
    return enrollment


@post(
    "/v1/auth/totp/verification",
    permission="self",
    rate="auth",
    errors=(Denied, Throttled, Transient, Conflict),
    is_sealed=True,
)
async def confirm_totp(
    body: Verification, caller: Caller, services: Services, late_uow: LateUnitOfWork[RecoveryCodes]
) -> RecoveryCodes:
    """Put the second factor in force by a code of the app; gives recovery codes, once."""
    person, account = require_session(caller), services.accounts.use.own_account
    if (remembered := await late_uow.recall()) is not None:
        return remembered
    proof = await account.attempt_code(person.user_id, _origin_of(caller))
    return await late_uow.run(partial(_confirm_totp, services, proof, body.code))


async def _confirm_totp(
    services: Services, proof: IdentityProof, code: str, uow: UnitOfWork
) -> RecoveryCodes:
    codes = await services.accounts.use.own_account.confirm(uow.tx, proof, code)
    if codes is None:
        raise CommitAndRaise(wrong_proof())
    await uow.audit("auth.totp_confirmed", Subject("user", proof.user.id))
    return RecoveryCodes(recovery_codes=codes)


@delete("/v1/auth/totp", permission="self", rate="auth", errors=(Denied, Throttled, Transient))
async def remove_totp(
    body: Verification, caller: Caller, services: Services, late_uow: LateUnitOfWork[UserView]
) -> UserView:
    """Take one's own second factor away, by a code of it or a recovery code."""
    person, account = require_session(caller), services.accounts.use.own_account
    proof = await account.attempt_code(person.user_id, _origin_of(caller))
    return await late_uow.run(partial(_remove_totp, services, proof, body.code))


async def _remove_totp(
    services: Services, proof: IdentityProof, code: str, uow: UnitOfWork
) -> UserView:
    user = await services.accounts.use.own_account.remove_totp(uow.tx, proof, code)
    if user is None:
        raise CommitAndRaise(wrong_proof())
    await uow.audit("auth.totp_removed", Subject("user", proof.user.id))
    return user


@post(
    "/v1/auth/recovery-codes",
    permission="self",
    rate="auth",
    status=HTTPStatus.CREATED,
    errors=(Denied, Throttled, Transient),
    is_sealed=True,
)
async def renew_recovery_codes(
    body: Proof, caller: Caller, services: Services, late_uow: LateUnitOfWork[RecoveryCodes]
) -> RecoveryCodes:
    """Create new recovery codes, by a code of the factor; the former ones are void."""
    person, account = require_session(caller), services.accounts.use.own_account
    if (remembered := await late_uow.recall()) is not None:
        return remembered
    proof = await account.attempt_proof(person.user_id, body.password, _origin_of(caller))
    return await late_uow.run(partial(_renew_recovery_codes, services, proof, body.code))


async def _renew_recovery_codes(
    services: Services, proof: IdentityProof, code: str, uow: UnitOfWork
) -> RecoveryCodes:
    codes = await services.accounts.use.own_account.renew_recovery_codes(uow.tx, proof, code)
    if codes is None:
        raise CommitAndRaise(wrong_proof())
    await uow.audit("auth.recovery_codes_renewed", Subject("user", proof.user.id))
    return RecoveryCodes(recovery_codes=codes)


def _origin_of(caller: Caller) -> AttemptOrigin:
    """Return where an attempt of a session comes from: it is counted by the session."""
    return AttemptOrigin(address=caller.address, session_id=caller.principal.session_id)
