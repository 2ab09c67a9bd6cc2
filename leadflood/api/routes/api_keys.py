"""API keys over HTTP: for scripts, in a person's name."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.api.http.authorization import require_session
from leadflood.api.http.pagination import Listed, Paging, listed
from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import Route
from leadflood.api.http.unit_of_work import UnitOfWork, run_once
from leadflood.api.services import Node
from leadflood.domain.accounts.keys import NewKey
from leadflood.domain.accounts.schemas import ApiKey, AuditEntry, Permission, Principal, Role
from leadflood.domain.accounts.service import UseCases
from leadflood.engine.errors import Conflict, Denied, Invalid, NotFound


class KeyBody(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """A key as its owner wants it; `expiresAt` null: it does not expire."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    scopes: Annotated[tuple[Permission, ...], msgspec.Meta(min_length=1, max_length=100)]
    expires_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class NewKeyAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A new key. `secret` is what scripts send as Bearer: shown now and never again."""

    key: ApiKey
    secret: str


class Keys:
    """The routes of API keys."""

    def __init__(self, node: Node) -> None:
        self._node = node

    @property
    def _use(self) -> UseCases:
        return self._node.services.accounts.use

    def routes(self) -> tuple[Route, ...]:
        """List the rows of the table."""
        path = "/v1/api-keys"
        return (
            Route(
                method="POST", path=path, handler=self.create, permission="self",
                status=HTTPStatus.CREATED, errors=(Invalid, Denied, Conflict),
            ),
            Route(method="GET", path=path, handler=self.list, permission="self"),
            Route(
                method="DELETE", path=f"{path}/{{keyId}}", handler=self.revoke, permission="self",
                errors=(NotFound,),
            ),
        )  # fmt: skip

    async def create(self, body: KeyBody, caller: Caller) -> NewKeyAnswer:
        """Make a key with some of one's own permissions; its secret is shown this once."""
        person = require_session(caller)
        wanted = NewKey(name=body.name, scopes=frozenset(body.scopes), expires_at=body.expires_at)

        async def do(uow: UnitOfWork) -> NewKeyAnswer:
            made = await self._use.keys.create(uow.tx, person.user_id, caller.principal, wanted)
            await uow.record(_entry("api_key.created", made.key))
            return NewKeyAnswer(key=made.key, secret=made.text)

        return await run_once(self._node.services, caller, NewKeyAnswer, do, seal=self._use.seal)

    async def list(self, query: Paging, caller: Caller) -> Listed[ApiKey]:
        """List one's own keys, newest first; an ADMIN and the operator see everybody's."""
        found = await self._use.keys.list(_owner_of(caller.principal), query.place(), query.reach)
        return listed(query.skip(found), query, lambda key: key.id)

    async def revoke(self, key_id: UUID, caller: Caller) -> ApiKey:
        """End a key of one's own; an ADMIN and the operator may end anybody's."""

        async def do(uow: UnitOfWork) -> ApiKey:
            key = await self._use.keys.revoke(uow.tx, key_id, _owner_of(caller.principal))
            await uow.record(_entry("api_key.revoked", key))
            return key

        answer = await run_once(self._node.services, caller, ApiKey, do)
        self._use.credentials.forget()
        return answer


def _owner_of(principal: Principal) -> UUID | None:
    """Tell whose keys somebody sees; None: everybody's."""
    is_admin = principal.role is Role.ADMIN and Permission.USERS_WRITE in principal.permissions
    return None if is_admin or principal.user_id is None else principal.user_id


def _entry(action: str, key: ApiKey) -> AuditEntry:
    detail = {"userId": str(key.user_id), "scopes": [scope.value for scope in key.scopes]}
    return AuditEntry(action=action, subject_kind="api_key", subject_id=str(key.id), detail=detail)
