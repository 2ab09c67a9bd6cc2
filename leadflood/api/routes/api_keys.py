"""API keys over HTTP: for scripts, in a person's name."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.api.http.authorization import require_session
from leadflood.api.http.pagination import Listed, Paging, paginate
from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import delete, get, post
from leadflood.api.http.unit_of_work import UnitOfWork
from leadflood.api.services import Services
from leadflood.domain.auth.schemas.credentials import ApiKey, NewApiKey
from leadflood.domain.auth.schemas.principals import Principal
from leadflood.domain.auth.schemas.roles import Permission, Role
from leadflood.engine.errors import Conflict, Denied, Invalid, NotFound


class KeyBody(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """A key as its owner wants it; `expiresAt` null: in 90 days (`accounts.key_days`)."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    scopes: Annotated[tuple[Permission, ...], msgspec.Meta(min_length=1, max_length=100)]
    expires_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class NewKeyAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A new key. `secret` is what scripts send as Bearer: shown now and never again."""

    key: ApiKey
    secret: str


@post(
    "/v1/api-keys",
    permission="self",
    status=HTTPStatus.CREATED,
    errors=(Invalid, Denied, Conflict),
    is_sealed=True,
)
async def create_key(
    body: KeyBody, caller: Caller, services: Services, uow: UnitOfWork
) -> NewKeyAnswer:
    """Create a key with some of one's own permissions; its secret is shown this once.

    It needs a fresh proof of who asks (POST /v1/auth/proof), and its owner is notified.
    """
    person = require_session(caller)
    new_key = NewApiKey(name=body.name, scopes=frozenset(body.scopes), expires_at=body.expires_at)
    created = await services.accounts.use.api_keys.create(
        uow.tx, person.user_id, caller.principal, new_key
    )
    key = created.key
    await uow.audit("api_key.created", key.id, user_id=key.user_id, scopes=key.scopes)
    return NewKeyAnswer(key=key, secret=created.text)


@get("/v1/api-keys", permission="self")
async def list_keys(query: Paging, caller: Caller, services: Services) -> Listed[ApiKey]:
    """List one's own keys, newest first; an ADMIN and the operator see everybody's."""
    owner_id = _owner_of(caller.principal)
    keys = await services.accounts.use.api_keys.list(owner_id, query.position(), query.fetch_limit)
    return paginate(keys, query)


@delete("/v1/api-keys/{keyId}", permission="self", errors=(NotFound,))
async def revoke_key(key_id: UUID, caller: Caller, services: Services, uow: UnitOfWork) -> ApiKey:
    """End a key of one's own; an ADMIN and the operator may end anybody's."""
    accounts = services.accounts.use
    key = await accounts.api_keys.revoke(uow.tx, key_id, _owner_of(caller.principal))
    await uow.audit("api_key.revoked", key.id, user_id=key.user_id, scopes=key.scopes)
    uow.after_commit(accounts.credentials.forget)
    return key


def _owner_of(principal: Principal) -> UUID | None:
    """Return whose keys somebody sees; None: everybody's."""
    is_admin = principal.role is Role.ADMIN and Permission.USERS_WRITE in principal.permissions
    return None if is_admin or principal.user_id is None else principal.user_id
