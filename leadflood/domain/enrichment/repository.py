"""What enrichment remembers in the database: ends, questions, statistics."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from uuid import UUID

import msgspec

from leadflood.contracts.values import FieldName
from leadflood.domain.enrichment.schemas import (
    EnrichmentState,
    ProviderRecord,
    WaterfallStat,
)
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Tx

SQL = load_queries(__file__)


class EnrichmentEnd(msgspec.Struct, frozen=True):
    """A lead that is through, or failed, in a run."""

    run_id: UUID
    lead_id: UUID
    state: EnrichmentState
    code: str | None = None

    def key(self) -> tuple[UUID, UUID]:
        """Tell what is unique."""
        return (self.run_id, self.lead_id)


async def record_ends(
    tx: Tx, ends: Sequence[EnrichmentEnd], now: datetime
) -> set[tuple[UUID, UUID]]:
    """Write ends; tell the (run, lead) that had not ended before and so may go on."""
    first: dict[tuple[UUID, UUID], EnrichmentEnd] = {}
    for end in ends:
        known = first.get(end.key())
        if known is None or known.state is EnrichmentState.FAILED:
            first[end.key()] = end
    if not first:
        return set()
    ordered = [first[key] for key in sorted(first)]
    rows = await tx.fetch(
        SQL.add_ends,
        run_ids=[end.run_id for end in ordered],
        lead_ids=[end.lead_id for end in ordered],
        states=[end.state.value for end in ordered],
        codes=[end.code for end in ordered],
        now=now,
    )
    return {(row["run_id"], row["lead_id"]) for row in rows}


async def record_provider_records(
    tx: Tx, asked: Sequence[tuple[UUID, UUID, ProviderRecord]], now: datetime
) -> None:
    """Write who was asked for (run, lead), and count which fields came of it."""
    rows = {(run_id, lead_id, one.provider): one for run_id, lead_id, one in asked}
    if not rows:
        return
    ordered = sorted(rows)
    records = [rows[key] for key in ordered]
    await tx.execute(
        SQL.add_records,
        run_ids=[run_id for run_id, _, _ in ordered],
        lead_ids=[lead_id for _, lead_id, _ in ordered],
        providers=[provider for _, _, provider in ordered],
        states=[one.state.value for one in records],
        codes=[one.code for one in records],
        found=[one.is_found for one in records],
        cached=[one.is_cached for one in records],
        costs_micros=[one.cost_micros for one in records],
        asked_at=[one.asked_at for one in records],
        now=now,
    )
    await _count(tx, records, now.date())


async def _count(tx: Tx, records: Iterable[ProviderRecord], day: date) -> None:
    asked: Counter[tuple[str, str]] = Counter()
    found: Counter[tuple[str, str]] = Counter()
    for one in records:
        asked.update((one.provider, field.value) for field in one.asked_fields)
        found.update((one.provider, field.value) for field in one.found_fields)
    ordered = sorted(asked)
    if ordered:
        await tx.execute(
            SQL.count_fields,
            providers=[provider for provider, _ in ordered],
            fields=[field for _, field in ordered],
            asked=[asked[key] for key in ordered],
            found=[found[key] for key in ordered],
            day=day,
        )


async def list_stats(db: Reader, since: date) -> Sequence[WaterfallStat]:
    """Tell how well each provider has filled each field since a day."""
    return [
        WaterfallStat(
            provider=row["provider"],
            field=FieldName(row["field"]),
            asked_count=row["asked_count"],
            found_count=row["found_count"],
        )
        for row in await db.fetch(SQL.list_stats, since=since)
    ]
