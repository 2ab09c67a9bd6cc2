"""The suppression list: whom nothing is sent to. Addresses are kept as keyed hashes."""

from uuid import UUID

from leadflood.contracts.addresses import mask_address
from leadflood.domain.suppressions import repository
from leadflood.domain.suppressions.repository import NewSuppression, SuppressionOrigin
from leadflood.domain.suppressions.rules.address_hash import AddressHasher, normalize_value
from leadflood.domain.suppressions.schemas import (
    AddressKey,
    SuppressionInput,
    SuppressionKind,
    SuppressionView,
)
from leadflood.engine.clock import Clock
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import Conflict, Invalid, NotFound
from leadflood.engine.ids import NEWEST, Ids

_NOT_FOUND = "suppression.not_found"


class SuppressionService:
    """The use cases of the suppression list."""

    def __init__(self, db: Database, key: AddressKey, ids: Ids, clock: Clock) -> None:
        self._db = db
        self._hasher = AddressHasher(key)
        self._ids = ids
        self._clock = clock

    async def list(
        self,
        *,
        kind: SuppressionKind | None = None,
        before: UUID = NEWEST,
        limit: int = 100,
    ) -> tuple[SuppressionView, ...]:
        """List the live lines, newest first."""
        return await repository.list_suppressions(self._db, kind, before, limit)

    async def count_void(self) -> int:
        """Count the lines that a lost secret made void."""
        return await repository.count_void(self._db)

    async def find(self, kind: SuppressionKind, value: str) -> SuppressionView | None:
        """Return the line of a value, if any. Raises: Invalid."""
        key = self._hasher.hash_value(kind, normalize_value(kind, value))
        return await repository.find_suppression(self._db, key)

    async def get(self, kind: SuppressionKind, value: str) -> SuppressionView:
        """Return the line of a value; see `find`. Raises: NotFound, Invalid."""
        line = await self.find(kind, value)
        if line is None:
            raise NotFound(f"this {kind} is not suppressed", code=_NOT_FOUND)
        return line

    async def add(
        self, tx: Tx, suppression: SuppressionInput, *, by: str, source: str
    ) -> SuppressionView:
        """Stop writing to an address, a domain, a channel or a lead.

        What is on the list already keeps its line. Raises: Invalid, Conflict.
        """
        if not suppression.reason.strip():
            raise Invalid.field("reason", "say why, for the one who reads the list later")
        kind, value = suppression.kind, _normalize(suppression)
        key = self._hasher.hash_value(kind, value)
        line = NewSuppression(id=self._ids.new(), kind=kind, key=key, hint=mask_address(value))
        origin = SuppressionOrigin(reason=suppression.reason, source=source, by=by)
        await repository.add_suppressions(tx, [line], origin, self._clock.now())
        view = await repository.find_suppression(tx, key)
        if view is None:
            raise Conflict("the line was lifted in the same moment: try again")
        return view

    async def lift(self, tx: Tx, suppression_id: UUID, by: str) -> SuppressionView:
        """Take a line off the list; who did it stays. Raises: NotFound."""
        line = await repository.lift_suppression(tx, suppression_id, by, self._clock.now())
        if line is None:
            raise NotFound(f"there is no live suppression {suppression_id}", code=_NOT_FOUND)
        return line


def _normalize(suppression: SuppressionInput) -> str:
    """Return the value in the form that is hashed. Raises: Invalid, naming the field `value`."""
    try:
        return normalize_value(suppression.kind, suppression.value)
    except Invalid as error:
        raise Invalid.field(
            "value", error.detail, detail=error.detail, code=error.error_code
        ) from error
