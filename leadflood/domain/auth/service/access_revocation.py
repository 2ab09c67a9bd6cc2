"""Access revocation: a user's sessions and keys end together, unless somebody says otherwise."""

from uuid import UUID

from leadflood.domain.auth.repository import api_keys, sessions
from leadflood.domain.auth.schemas.credentials import EndedAccess
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Tx


class AccessRevocation:
    """Ends what lets a user in, and says what still does."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def end_all(
        self,
        tx: Tx,
        user_id: UUID,
        reason: str,
        *,
        spared: UUID | None = None,
        ends_keys: bool = True,
    ) -> EndedAccess:
        """End all sessions of a user but the one spared, and their keys."""
        now = self._clock.now()
        session_count = await sessions.revoke_sessions(tx, user_id, reason, now, spared)
        key_count = await api_keys.revoke_api_keys(tx, user_id, now) if ends_keys else 0
        living_keys = await api_keys.list_living_keys(tx, user_id, now)
        return EndedAccess(sessions=session_count, keys=key_count, living_keys=tuple(living_keys))
