"""Unsubscribing: the way out in every message, by the token in its link (RFC 8058)."""

from collections.abc import Sequence
from uuid import UUID

from leadflood.domain.suppressions import repository
from leadflood.domain.suppressions.repository import (
    NewSuppression,
    SuppressionOrigin,
    UnsubscribeToken,
)
from leadflood.domain.suppressions.rules.address_hash import AddressHasher
from leadflood.domain.suppressions.schemas import (
    AddressKey,
    LeadUnsubscribed,
    SuppressionKind,
    Unsubscribed,
)
from leadflood.domain.suppressions.service.people import find_family
from leadflood.engine.clock import Clock
from leadflood.engine.db.pool import Database
from leadflood.engine.ids import Ids
from leadflood.engine.queue.publisher import PublishingTransaction

_UNKNOWN = Unsubscribed(known=False, first_time=False, hint="")
_BY_LINK = SuppressionOrigin(reason="unsubscribed", source="one_click", by="the person")


class UnsubscribeService:
    """The use cases of those who were written to."""

    def __init__(self, db: Database, key: AddressKey, ids: Ids, clock: Clock) -> None:
        self._db = db
        self._hasher = AddressHasher(key)
        self._ids = ids
        self._clock = clock

    async def find(self, token: str) -> Unsubscribed:
        """Return whom a token speaks for, and change nothing."""
        row = await repository.find_token(self._db, token)
        return _UNKNOWN if row is None else row.answer(first_time=row.used_at is None)

    async def unsubscribe(self, publication: PublishingTransaction, token: str) -> Unsubscribed:
        """Stop every channel to the person a token speaks for; again changes nothing."""
        tx, now = publication.tx, self._clock.now()
        row = await repository.find_token(tx, token)
        if row is None:
            return _UNKNOWN
        first_time = await repository.use_token(tx, token, now)
        lines = self._lines(row, await find_family(tx, row.lead_id))
        await repository.add_suppressions(tx, lines, now)
        if first_time:
            await publication.publish([LeadUnsubscribed(row.lead_id, row.intent_id)])
        return row.answer(first_time=first_time)

    def _lines(self, row: UnsubscribeToken, family: Sequence[UUID]) -> list[NewSuppression]:
        """List what stops the address, and every lead that is this person."""
        keys = [(SuppressionKind.ADDRESS, row.address_key, row.hint)]
        keys += [
            (SuppressionKind.LEAD, self._hasher.hash_lead(lead_id), str(lead_id))
            for lead_id in family
        ]
        return [
            NewSuppression(id=self._ids.new(), kind=kind, key=key, hint=hint, origin=_BY_LINK)
            for kind, key, hint in keys
        ]
