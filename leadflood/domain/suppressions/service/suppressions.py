"""The suppression list: whom nothing is sent to. Addresses are kept as keyed hashes."""

from uuid import UUID

import msgspec

from leadflood.contracts.addresses import mask_address
from leadflood.contracts.normalization.channel_addresses import ADDRESS_FIELDS
from leadflood.contracts.values import Channel
from leadflood.domain.auth.schemas.principals import Editor
from leadflood.domain.leads.service.locking import lock_lead
from leadflood.domain.suppressions import repository
from leadflood.domain.suppressions.repository import NewSuppression, SuppressionOrigin
from leadflood.domain.suppressions.rules.address_hash import AddressHasher, normalize_value
from leadflood.domain.suppressions.schemas import (
    AddedSuppression,
    AddressKey,
    Coverage,
    LiftedOfImport,
    SendsStopped,
    SuppressionInput,
    SuppressionKind,
    SuppressionView,
)
from leadflood.engine.clock import Clock
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import Conflict, Denied, Invalid, NotFound
from leadflood.engine.ids import NEWEST, Ids
from leadflood.engine.queue.publisher import PublishingTransaction

_NOT_FOUND = "suppression.not_found"
MOST_LIFTED = 10_000
"""How many lines of an import are lifted at once."""


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
        self,
        publication: PublishingTransaction,
        suppression: SuppressionInput,
        *,
        by: str,
        source: str,
    ) -> AddedSuppression:
        """Stop writing to an address, a domain, a channel or a lead.

        What is on the list already keeps its line. Whoever sends is told of due sends that a
        channel or a domain stops.
        Raises: Invalid; Conflict for what covers more leads than was expected.
        """
        tx = publication.tx
        if not suppression.reason.strip():
            raise Invalid.field("reason", "say why, for the one who reads the list later")
        kind, value = suppression.kind, _normalize(suppression)
        coverage = await count_covered(tx, kind, value)
        _require_expected(suppression, coverage)
        key = self._hasher.hash_value(kind, value)
        origin = SuppressionOrigin(reason=suppression.reason, source=source, by=by)
        line = NewSuppression(
            id=self._ids.new(), kind=kind, key=key, hint=mask_address(value), origin=origin
        )
        await repository.add_suppressions(tx, [line], self._clock.now())
        view = await repository.find_suppression(tx, key)
        if view is None:
            raise Conflict("the line was lifted in the same moment: try again")
        if coverage is not None and coverage.due_send_count and view.id == line.id:
            stopped = SendsStopped(view.id, kind, by, coverage.due_send_count)
            await publication.publish([stopped])
        counts = {} if coverage is None else msgspec.structs.asdict(coverage)
        return AddedSuppression(**msgspec.structs.asdict(view), **counts)

    async def count_covered(self, tx: Tx, suppression: SuppressionInput) -> Coverage | None:
        """Count what a line would stop; None for an address and a lead. Raises: Invalid."""
        return await count_covered(tx, suppression.kind, _normalize(suppression))

    async def require_within_reach(
        self, tx: Tx, suppression: SuppressionInput, editor: Editor
    ) -> None:
        """Refuse who sees only their own leads what reaches others'.

        An address may be anybody's: whoever is asked to stop must be able to write it down.
        Raises: NotFound for the lead of another; Denied.
        """
        if not editor.visibility.is_limited or suppression.kind is SuppressionKind.ADDRESS:
            return
        if suppression.kind is not SuppressionKind.LEAD:
            raise Denied(
                "who sees only their own leads stops no domain: name the address, or ask a manager",
                code="suppression.denied",
            )
        await lock_lead(tx, UUID(_normalize(suppression).partition(" ")[0]), editor)

    async def lift(self, tx: Tx, suppression_id: UUID, by: str) -> SuppressionView:
        """Take a line off the list; who did it stays. Raises: NotFound."""
        line = await repository.lift_suppression(tx, suppression_id, by, self._clock.now())
        if line is None:
            raise NotFound(f"there is no live suppression {suppression_id}", code=_NOT_FOUND)
        return line

    async def lift_of_import(self, tx: Tx, import_id: UUID, by: str) -> LiftedOfImport:
        """Take off the list what the file of an import alone says, 10,000 lines at most.

        What a person, a link, a provider or another file says too stays, and is theirs alone then.
        """
        now = self._clock.now()
        counts = await repository.lift_of_import(tx, import_id, by, now, MOST_LIFTED)
        return LiftedOfImport(
            lifted=counts.lifted,
            kept=counts.kept,
            is_complete=counts.lifted + counts.kept < MOST_LIFTED,
        )


async def count_covered(tx: Tx, kind: SuppressionKind, value: str) -> Coverage | None:
    """Count what a channel or a domain stops; None for an address and a lead."""
    match kind:
        case SuppressionKind.DOMAIN:
            return await repository.count_domain(tx, value)
        case SuppressionKind.CHANNEL:
            channel = Channel(value)
            return await repository.count_channel(tx, channel, ADDRESS_FIELDS[channel])
        case _:
            return None


def _require_expected(suppression: SuppressionInput, coverage: Coverage | None) -> None:
    """Refuse a broad line whose reach nobody has confirmed. Raises: Conflict."""
    if coverage is None or not suppression.is_broad:
        return
    refuse_unexpected(suppression.expected_count, coverage)


def refuse_unexpected(expected: int | None, coverage: Coverage) -> None:
    """Refuse what covers more leads than were confirmed. Raises: Conflict."""
    if expected is None or expected < coverage.lead_count:
        raise Conflict(
            f"this stops {coverage.lead_count} leads, and {coverage.due_send_count} sends that are"
            f" due: confirm it with expectedCount {coverage.lead_count}"
            f" (`--expected-count {coverage.lead_count}`)",
            code="suppression.unconfirmed",
        )


def _normalize(suppression: SuppressionInput) -> str:
    """Return the value in the form that is hashed. Raises: Invalid, naming the field `value`."""
    try:
        return normalize_value(suppression.kind, suppression.value)
    except Invalid as error:
        raise Invalid.field(
            "value", error.detail, detail=error.detail, code=error.error_code
        ) from error
