"""Credentials: an access token or API key becomes the principal who holds it.

A verified credential is cached with its holder's rights for at most `recheck_seconds`: a session,
user, role or key that changed on any node is seen by all within that time, and at once by the node
that changed it (`forget`).
"""

import hmac
from collections import OrderedDict
from datetime import UTC, datetime, timedelta

import msgspec

from leadflood.domain.auth.repository import principals
from leadflood.domain.auth.rules import access_tokens
from leadflood.domain.auth.rules.access_tokens import Claims
from leadflood.domain.auth.rules.api_keys import ApiKeyParts, hash_secret, parse_api_key
from leadflood.domain.auth.schemas.principals import Principal, PrincipalKind
from leadflood.domain.auth.schemas.settings import Settings
from leadflood.domain.auth.service.signing_keys import SigningKeys
from leadflood.engine.clock import REAL_TIME, Clock
from leadflood.engine.db.pool import Database

MAX_CACHED = 10_000
KEY_USE_RECORDED_EVERY = timedelta(minutes=1)


class _Verified(msgspec.Struct, frozen=True):
    """A verified credential; `stale_at` is monotonic, `expires_at`: an instant."""

    principal: Principal
    expires_at: datetime
    stale_at: float


class Credentials:
    """Verifies tokens and keys."""

    def __init__(
        self, db: Database, clock: Clock, settings: Settings, signing_keys: SigningKeys
    ) -> None:
        self._db = db
        self._clock = clock
        self._signing_keys = signing_keys
        self._recheck_seconds = settings.recheck_seconds
        self._leeway = timedelta(seconds=settings.leeway_seconds)
        self._cache: OrderedDict[str, _Verified] = OrderedDict()
        self._epoch = 0
        self._keys_in_force: OrderedDict[str, None] = OrderedDict()

    def recall(self, credential: str) -> Principal | None:
        """Return the holder of a credential verified a moment ago; None: verify it."""
        verified = self._cache.get(credential)
        if verified is None or REAL_TIME.monotonic() >= verified.stale_at:
            return None
        return verified.principal if self._clock.now() < verified.expires_at else None

    async def is_genuine(self, credential: str) -> bool:
        """Whether a credential was made here, without a look at whether it still is in force.

        A token by its signature, a key by having been in force when it was last looked up.
        """
        if parse_api_key(credential):
            return credential in self._keys_in_force
        return await self._read_claims(credential) is not None

    async def find(self, credential: str) -> Principal | None:
        """Find the holder of a credential; None when it is not valid now."""
        principal = self.recall(credential)
        if principal is not None:
            return principal
        epoch = self._epoch
        verified = await self._verify(credential)
        if verified is None:
            self._cache.pop(credential, None)
            self._keys_in_force.pop(credential, None)
            return None
        self._remember_key(credential, verified)
        if epoch == self._epoch:  # else rights were changed while we read them
            self._remember(credential, verified)
        return verified.principal

    async def find_again(self, holder: Principal) -> Principal | None:
        """Return a holder with the rights they have now; None: they have none any more."""
        now = self._clock.now()
        if holder.session_id is not None:
            return await principals.find_session_principal(self._db, holder.session_id, now)
        if holder.kind is PrincipalKind.KEY and holder.id is not None:
            key = await principals.find_key_holder(self._db, holder.id, now)
            return None if key is None else key.principal
        return holder if holder.kind is PrincipalKind.OPERATOR else None

    @property
    def epoch(self) -> int:
        """How often rights were changed by this process: what was verified before may be stale."""
        return self._epoch

    def forget(self) -> None:
        """Clear the cache: rights were changed here, and the change is committed."""
        self._epoch += 1
        self._cache.clear()

    def _remember(self, credential: str, verified: _Verified) -> None:
        self._cache[credential] = verified
        self._cache.move_to_end(credential)
        if len(self._cache) > MAX_CACHED:
            self._cache.popitem(last=False)

    def _remember_key(self, credential: str, verified: _Verified) -> None:
        if verified.principal.kind is PrincipalKind.KEY:
            self._keys_in_force[credential] = None
            self._keys_in_force.move_to_end(credential)
            if len(self._keys_in_force) > MAX_CACHED:
                self._keys_in_force.popitem(last=False)

    async def _verify(self, credential: str) -> _Verified | None:
        key = parse_api_key(credential)
        return await (self._verify_key(key) if key else self._verify_token(credential))

    async def _verify_token(self, token: str) -> _Verified | None:
        stale_at = REAL_TIME.monotonic() + self._recheck_seconds
        claims = await self._read_claims(token)
        if claims is None:
            return None
        now = self._clock.now()
        principal = await principals.find_session_principal(self._db, claims.sid, now)
        if principal is None or principal.user_id != claims.sub:
            return None
        expires_at = datetime.fromtimestamp(claims.exp, UTC) + self._leeway
        return _Verified(principal, expires_at, stale_at)

    async def _read_claims(self, token: str) -> Claims | None:
        kid = access_tokens.find_kid(token)
        key = None if kid is None else await self._signing_keys.find(kid)
        if key is None:
            return None
        return access_tokens.verify(token, key, self._clock.now(), self._leeway)

    async def _verify_key(self, parts: ApiKeyParts) -> _Verified | None:
        stale_at, now = REAL_TIME.monotonic() + self._recheck_seconds, self._clock.now()
        key = await principals.find_key_holder(self._db, parts.id, now)
        if key is None or not hmac.compare_digest(key.secret_hash, hash_secret(parts.secret)):
            return None
        if key.last_used_at is None or now - key.last_used_at >= KEY_USE_RECORDED_EVERY:
            await principals.record_api_key_use(self._db, parts.id, now)
        return _Verified(key.principal, key.expires_at, stale_at)
