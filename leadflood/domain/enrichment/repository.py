"""Enrichment in the database: its ends, the providers asked, and statistics."""

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


Key = tuple[UUID, UUID]
"""(run, lead)."""


class EnrichmentEnd(msgspec.Struct, frozen=True):
    """A lead whose enrichment is complete, or has failed, in a run."""

    run_id: UUID
    lead_id: UUID
    state: EnrichmentState
    code: str | None = None

    @property
    def key(self) -> Key:
        """The unique key."""
        return (self.run_id, self.lead_id)


async def record_ends(tx: Tx, ends: Sequence[EnrichmentEnd], now: datetime) -> set[Key]:
    """Store ends; return the keys of those that had not ended before and so may go on."""
    by_key: dict[Key, EnrichmentEnd] = {}
    for end in ends:
        earlier = by_key.get(end.key)
        if earlier is None or earlier.state is EnrichmentState.FAILED:
            by_key[end.key] = end
    if not by_key:
        return set()
    ordered = [by_key[key] for key in sorted(by_key)]
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
    tx: Tx, records: Sequence[tuple[Key, ProviderRecord]], now: datetime
) -> None:
    """Store which providers were asked, and count which fields they had."""
    by_key = {(*key, record.provider): record for key, record in records}
    if not by_key:
        return
    keys = sorted(by_key)
    ordered = [by_key[key] for key in keys]
    await tx.execute(
        SQL.add_records,
        run_ids=[run_id for run_id, _, _ in keys],
        lead_ids=[lead_id for _, lead_id, _ in keys],
        providers=[provider for _, _, provider in keys],
        states=[record.state.value for record in ordered],
        codes=[record.code for record in ordered],
        found=[record.is_found for record in ordered],
        cached=[record.is_cached for record in ordered],
        costs_micros=[record.cost_micros for record in ordered],
        asked_at=[record.asked_at for record in ordered],
        now=now,
    )
    await _count_fields(tx, ordered, now.date())


async def _count_fields(tx: Tx, records: Iterable[ProviderRecord], day: date) -> None:
    requests: Counter[tuple[str, str]] = Counter()
    hits: Counter[tuple[str, str]] = Counter()
    for record in records:
        requests.update((record.provider, field.value) for field in record.asked_fields)
        hits.update((record.provider, field.value) for field in record.found_fields)
    keys = sorted(requests)
    if keys:
        await tx.execute(
            SQL.count_fields,
            providers=[provider for provider, _ in keys],
            fields=[field for _, field in keys],
            asked=[requests[key] for key in keys],
            found=[hits[key] for key in keys],
            day=day,
        )


async def list_stats(db: Reader, since: date) -> Sequence[WaterfallStat]:
    """List how often each provider has filled each field since a day."""
    return [
        WaterfallStat(
            provider=row["provider"],
            field=FieldName(row["field"]),
            asked_count=row["asked_count"],
            found_count=row["found_count"],
        )
        for row in await db.fetch(SQL.list_stats, since=since)
    ]
