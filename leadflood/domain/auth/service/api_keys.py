"""API keys: for scripts, in a user's name, never with more rights than their role has now."""

import secrets
from datetime import timedelta
from uuid import UUID

import msgspec

from leadflood.domain.auth.repository import api_keys
from leadflood.domain.auth.repository.locks import lock_subject
from leadflood.domain.auth.rules.api_keys import check_new_key, format_api_key, hash_secret
from leadflood.domain.auth.schemas.credentials import ApiKey, NewApiKey
from leadflood.domain.auth.schemas.principals import Principal
from leadflood.domain.auth.service.sessions import Sessions
from leadflood.engine.clock import Clock
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import Conflict, NotFound
from leadflood.engine.ids import Ids

SECRET_BYTES = 32
MAX_KEYS = 100


class CreatedApiKey(msgspec.Struct, frozen=True):
    """A new key, and its text, which is shown once."""

    key: ApiKey
    text: str


class ApiKeys:
    """The use cases of API keys."""

    def __init__(
        self, db: Database, clock: Clock, ids: Ids, sessions: Sessions, lifetime_days: float
    ) -> None:
        self._db = db
        self._clock = clock
        self._ids = ids
        self._sessions = sessions
        self._lifetime = timedelta(days=lifetime_days)

    async def create(
        self, tx: Tx, owner_id: UUID, principal: Principal, new: NewApiKey
    ) -> CreatedApiKey:
        """Create a key with some of a principal's permissions.

        Raises: Denied (no fresh proof), Invalid (scopes, expiry), Conflict (too many).
        """
        now = self._clock.now()
        await self._sessions.require_proof(tx, principal.session_id)
        check_new_key(new, principal.permissions, now)
        await lock_subject(tx, f"keys of {owner_id}")
        if await api_keys.count_api_keys(tx, owner_id, now) >= MAX_KEYS:
            raise Conflict(
                f"{MAX_KEYS} keys are in force: revoke those not needed",
                code="auth.api_key.too_many",
            )
        secret = secrets.token_hex(SECRET_BYTES)
        key = ApiKey(
            id=self._ids.new(),
            user_id=owner_id,
            name=new.name,
            scopes=tuple(sorted(new.scopes)),
            created_at=now,
            last_used_at=None,
            expires_at=new.expires_at or now + self._lifetime,
            revoked_at=None,
        )
        await api_keys.add_api_key(tx, key, hash_secret(secret))
        return CreatedApiKey(key, format_api_key(key.id, secret))

    async def list(self, owner_id: UUID | None, before: UUID | None, limit: int) -> list[ApiKey]:
        """List keys, newest first; `owner_id` None: everybody's."""
        return await api_keys.list_api_keys(self._db, owner_id, before, limit)

    async def revoke(self, tx: Tx, key_id: UUID, owner_id: UUID | None) -> ApiKey:
        """End a key; `owner_id` None: whoever's it is. Raises: NotFound."""
        key = await api_keys.revoke_api_key(tx, key_id, owner_id, self._clock.now())
        if key is None:
            raise NotFound(
                f"there is no key {key_id} in force: list them for their ids",
                code="auth.api_key.not_found",
            )
        return key
