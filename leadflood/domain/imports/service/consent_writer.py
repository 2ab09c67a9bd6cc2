"""Writing what rows say of consent, in the transaction of their leads.

A no counts whatever becomes of its row: the addresses of a bad row, and of one whose lead is
somebody else's, are suppressed too. It outlives the undo of its import.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from uuid import UUID

import msgspec

from leadflood.contracts.normalization.domains import is_shared_domain
from leadflood.contracts.values import Channel, FieldName
from leadflood.domain.imports.repository import rows as row_table
from leadflood.domain.imports.rules.consent import says_no
from leadflood.domain.imports.schemas.mappings import ImportPlan
from leadflood.domain.imports.schemas.rows import BadRow, ImportRow, RowResult, RowState, Statement
from leadflood.domain.imports.service.namesakes import list_namesake_noes
from leadflood.domain.suppressions.schemas import AddressKey
from leadflood.domain.suppressions.service.stated_consent import (
    CHANNELS,
    StatedConsent,
    StatedOptIn,
    StatedOptOut,
)
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Tx
from leadflood.engine.ids import Ids

_OF_PERSON = frozenset(
    {
        FieldName.EMAIL,
        FieldName.FULL_NAME,
        FieldName.FIRST_NAME,
        FieldName.LAST_NAME,
        FieldName.LINKEDIN_URL,
    }
)
_NAMED = frozenset({RowState.CREATED, RowState.UPDATED, RowState.DUPLICATE})
"""What becomes of rows whose lead the importer may speak for."""


class ConsentSource(msgspec.Struct, frozen=True):
    """Where rows are from: an import, and its file's name."""

    import_id: UUID
    name: str

    @property
    def text(self) -> str:
        """What the file is called among imports."""
        return f"{_prefix(self.import_id)} {self.name}"

    def at(self, number: int) -> str:
        """Return where a line of the file stands."""
        return f"{_prefix(self.import_id)} line {number} of {self.name}"


class ConsentWriter:
    """Writes suppressions and opt-ins of rows."""

    def __init__(self, key: AddressKey, ids: Ids, clock: Clock) -> None:
        self._stated = StatedConsent(key, ids, clock)

    async def write(
        self,
        tx: Tx,
        source: ConsentSource,
        plan: ImportPlan,
        rows: Sequence[ImportRow | BadRow],
        results: Sequence[RowResult],
    ) -> int:
        """Write what rows say; return how many of them say no."""
        ends = {result.number: result for result in results}
        speaking = [row for row in rows if row.consent]
        opt_outs = [
            opt_out
            for row in speaking
            for opt_out in _opt_outs(source, plan, row, ends.get(row.number))
        ]
        await self._stated.suppress(tx, opt_outs)
        namesakes = await list_namesake_noes(
            tx, self._stated, plan, rows, source.text, source.import_id
        )
        await self._stated.suppress(tx, namesakes)
        opt_ins = [opt_in for row in speaking for opt_in in _opt_ins(source, plan, row, ends)]
        if opt_ins:
            await self._stated.agree(tx, opt_ins)
        return sum(says_no(row) for row in speaking)

    async def withdraw(self, tx: Tx, import_id: UUID, lead_ids: Collection[UUID], by: str) -> None:
        """Take back what an undone import recorded of agreements; what it suppressed stays."""
        kept = await row_table.find_kept_leads(tx, import_id, lead_ids)
        undone = [lead_id for lead_id in lead_ids if lead_id not in kept]
        await self._stated.withdraw(
            tx, undone, _prefix(import_id), by or "a command", "its import was undone"
        )


def _prefix(import_id: UUID) -> str:
    return f"import {import_id},"


def _opt_outs(
    source: ConsentSource, plan: ImportPlan, row: ImportRow | BadRow, result: RowResult | None
) -> Iterator[StatedOptOut]:
    lead_id = None if result is None else result.lead_id
    for statement in row.consent:
        if not statement.agrees:
            yield StatedOptOut(
                channels=statement.channels,
                lead_id=None if statement.is_of_address else lead_id,
                addresses=row.addresses,
                domain=None if statement.is_of_address else _company_of(plan, row),
                reason=statement.evidence,
                source=source.at(row.number),
                by=plan.by or "a command",
                import_id=source.import_id,
            )


def _company_of(plan: ImportPlan, row: ImportRow | BadRow) -> str | None:
    """Return the domain of a row that is about a company and no person.

    None also for a domain that is nobody's own, and for who may not stop a domain.
    """
    if isinstance(row, BadRow) or plan.visibility.is_limited or _OF_PERSON & row.values.keys():
        return None
    domain = row.values.get(FieldName.COMPANY_DOMAIN)
    return domain if isinstance(domain, str) and not is_shared_domain(domain) else None


def _opt_ins(
    source: ConsentSource,
    plan: ImportPlan,
    row: ImportRow | BadRow,
    ends: Mapping[int, RowResult],
) -> Iterator[StatedOptIn]:
    """Yield what a row agrees to and does not refuse as well."""
    end = ends.get(row.number)
    if end is None or end.lead_id is None or end.outcome not in _NAMED:
        return
    refused = _channels([statement for statement in row.consent if not statement.agrees])
    for statement in row.consent:
        channels = _channels([statement]) - refused if statement.agrees else set()
        for channel in sorted(channels):
            wanted = Channel.EMAIL if channel is Channel.EMAIL else Channel.WHATSAPP
            address = next((text for kind, text in row.addresses if kind is wanted), None)
            if address is not None:
                yield StatedOptIn(
                    lead_id=end.lead_id,
                    channel=channel,
                    address=address,
                    wording=statement.wording,
                    source=source.at(row.number),
                    by=plan.by or "a command",
                    obtained_at=statement.obtained_at,
                )


def _channels(statements: Sequence[Statement]) -> set[Channel]:
    return {
        channel
        for statement in statements
        for name in statement.channels
        for channel in CHANNELS[name]
    }
