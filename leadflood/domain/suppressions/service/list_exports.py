"""The suppression list as a file that `leadflood suppress import` reads again.

Only keyed hashes are kept of addresses and domains. A line's value is given back where a lead that
is not deleted has it; any other has its hash, which means something under the same master secret.
"""

from collections.abc import AsyncGenerator, Iterable, Sequence
from uuid import UUID

from anyio import to_thread

from leadflood.contracts.addresses import list_domains
from leadflood.contracts.csv_safety import write_csv
from leadflood.contracts.values import Channel
from leadflood.domain.audit.schemas import AuditActor, AuditEntry
from leadflood.domain.audit.service import AuditTrail
from leadflood.domain.suppressions import repository
from leadflood.domain.suppressions.repository import ExportedLine, LeadAddresses
from leadflood.domain.suppressions.rules.address_hash import AddressHasher
from leadflood.domain.suppressions.schemas import AddressKey, SuppressionKind
from leadflood.engine.bulkhead import Bulkhead, Load
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import Invalid, Throttled
from leadflood.engine.ids import NEWEST

COLUMNS = ("kind", "value", "hint", "reason", "source", "by", "createdAt", "hash", "key")
BATCH_LINES = 2_000
MOST_AT_ONCE = 2
_SELF_EVIDENT = (SuppressionKind.LEAD, SuppressionKind.CHANNEL)
_OLDEST = UUID(int=0)


class SuppressionExports:
    """The use case of exporting the list."""

    def __init__(self, db: Database, key: AddressKey, audit: AuditTrail) -> None:
        self._db = db
        self._hasher = AddressHasher(key)
        self._audit = audit
        self._under_way = Bulkhead(MOST_AT_ONCE, MOST_AT_ONCE)

    async def export(self, actor: AuditActor) -> AsyncGenerator[bytes, None]:
        """Yield the live lines as CSV, newest first; void ones stop nothing and are left out.

        Who takes it is on record before the first of it leaves. Raises: Throttled.
        """
        with self._under_way.hold(actor.principal.by, _refuse_export):
            values = await self._find_values()
            entry = AuditEntry(action="suppression.exported", subject_kind="suppression")
            async with self._db.transaction() as tx:
                await self._audit.record(tx, actor, [entry])
            yield write_csv([COLUMNS])
            before = NEWEST
            while lines := await repository.list_lines(self._db, before, BATCH_LINES):
                yield await to_thread.run_sync(self._write, lines, values)
                before = lines[-1].view.id

    def _write(self, lines: Sequence[ExportedLine], values: dict[bytes, str]) -> bytes:
        return write_csv(
            (
                line.view.kind.value,
                line.view.hint if line.view.kind in _SELF_EVIDENT else values.get(line.key, ""),
                line.view.hint,
                line.view.reason,
                line.view.source,
                line.view.by,
                line.view.created_at.isoformat(),
                line.key.hex(),
                self._hasher.fingerprint,
            )
            for line in lines
            if line.view.voided_at is None
        )

    async def _find_values(self) -> dict[bytes, str]:
        """Find the values of lines among the addresses of leads, by their hashes."""
        keys: set[bytes] = set()
        before = NEWEST
        while lines := await repository.list_lines(self._db, before, BATCH_LINES):
            keys.update(line.key for line in lines if line.view.kind not in _SELF_EVIDENT)
            before = lines[-1].view.id
        values: dict[bytes, str] = {}
        after = _OLDEST
        while keys and (
            leads := await repository.list_lead_addresses(self._db, after, BATCH_LINES)
        ):
            values |= await to_thread.run_sync(self._match, leads, keys)
            after = leads[-1].lead_id
        return values

    def _match(self, leads: Iterable[LeadAddresses], keys: set[bytes]) -> dict[bytes, str]:
        hashes = (
            each for lead in leads for address in lead.addresses for each in self._hash(address)
        )
        return {key: value for key, value in hashes if key in keys}

    def _hash(self, address: str) -> Iterable[tuple[bytes, str]]:
        channel = Channel.EMAIL if "@" in address else Channel.WHATSAPP
        try:
            yield self._hasher.hash_address(channel, address), address
        except Invalid:
            return
        for domain in list_domains(address):
            yield self._hasher.hash_value(SuppressionKind.DOMAIN, domain), domain


def _refuse_export(load: Load) -> Throttled:
    return Throttled(
        f"{load.in_all} exports of the list are under way: wait for one to end",
        retry_after_seconds=5.0,
        code="suppression.export.busy",
    )
