"""`enrichment.run`: a lead learns more from providers, and its identity is settled again."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Self
from uuid import UUID

from typing_extensions import override

from leadflood.contracts.found_values import FoundValue
from leadflood.contracts.parts import StageParts
from leadflood.contracts.ports.email import EmailVerifier
from leadflood.contracts.ports.people import PersonEnricher
from leadflood.domain.discovery.schemas import LeadDiscovered
from leadflood.domain.enrichment import store
from leadflood.domain.enrichment.schemas import (
    CLAIMED_CODE,
    Enriched,
    EnrichmentFailed,
    EnrichmentState,
    LeadEnriched,
    LeadsMerged,
    PersonClaimed,
    Settings,
)
from leadflood.domain.enrichment.waterfall import Waterfall, WaterfallInput
from leadflood.domain.leads.schemas import (
    IDENTIFYING,
    EnrichmentWanted,
    IdentityKey,
    LeadCreated,
    LeadProfile,
    LeadStatus,
    LeadValues,
    ResolvedLead,
)
from leadflood.domain.leads.service import kernel as leads
from leadflood.engine.clock import Clock
from leadflood.engine.context import ANSWERS_SINCE
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import NotFound, code_of
from leadflood.engine.ids import Ids
from leadflood.engine.queue.outcome import Cancelled, Discard, Done, Outcome
from leadflood.engine.queue.stage import ClaimedTask, FinishedTask, FollowUp, Policy, Stage

EnrichTask = LeadDiscovered | LeadCreated | EnrichmentWanted
LeadEnded = FinishedTask[EnrichTask, Enriched]
_NO_RUN = UUID(int=0)


class EnrichmentStage(Stage[EnrichTask, WaterfallInput, Enriched]):
    """Walks the waterfall for each lead; writes values, merges, questions and ends together."""

    name: ClassVar[str] = "enrichment.run"
    task: ClassVar[Any] = EnrichTask
    default_policy: ClassVar[Policy] = Policy(concurrency=256, batch=256, timeout_seconds=120.0)

    def __init__(
        self,
        policy: Policy,
        enrichers: Mapping[str, PersonEnricher],
        verifier: EmailVerifier | None,
        settings: Settings,
        ids: Ids,
        clock: Clock,
    ) -> None:
        super().__init__(policy)
        self._enrichers = tuple(enrichers[name] for name in settings.order if name in enrichers)
        self._verifier = verifier
        self._settings = settings
        self._ids = ids
        self._clock = clock

    @classmethod
    @override
    def build(cls, policy: Policy, parts: StageParts) -> Self:
        ports, settings = parts.ports, parts.settings_of(Settings)
        return cls(policy, ports.enrichers, ports.verifier, settings, parts.ids, parts.clock)

    @override
    async def load(
        self, db: Reader, tasks: Sequence[ClaimedTask[EnrichTask]]
    ) -> Sequence[WaterfallInput | Outcome[Enriched]]:
        profiles = await leads.find_profiles(db, [claimed.task.lead_id for claimed in tasks])
        return [_input_of(claimed, profiles.get(claimed.task.lead_id)) for claimed in tasks]

    @override
    async def work(self, item: WaterfallInput) -> Outcome[Enriched]:
        walk = Waterfall(item, self._enrichers, self._verifier, self._settings, self._clock)
        token = ANSWERS_SINCE.set(item.created_at if item.is_forced else None)
        try:
            return Done(await walk.run())
        finally:
            ANSWERS_SINCE.reset(token)

    @override
    async def commit(self, tx: Tx, ended: Sequence[LeadEnded]) -> Sequence[FollowUp]:
        now = self._clock.now()
        here = [one for one in ended if not _is_cancelled(one)]
        settled = await self._settle(tx, here, now)
        first = await store.record_ends(
            tx, [end for one in here for end in _ends(one, settled)], now
        )
        await store.record_questions(
            tx,
            [
                (_run_id(one), one.task.lead_id, record)
                for one in here
                if one.task.lead_id in settled and isinstance(one.outcome, Done)
                for record in one.outcome.result.records
            ],
            now,
        )
        merged = _merges(here, settled)
        return merged + [follow for one in here for follow in _follow(one, settled, first)]

    async def _settle(
        self, tx: Tx, ended: Sequence[LeadEnded], now: datetime
    ) -> dict[UUID, ResolvedLead]:
        found = [_learned(one) for one in ended]
        return {one.lead_id: one for one in await leads.record_values(tx, found, self._ids, now)}


def _input_of(
    claimed: ClaimedTask[EnrichTask], profile: LeadProfile | None
) -> WaterfallInput | Outcome[Enriched]:
    lead_id, task = claimed.task.lead_id, claimed.task
    if profile is None:
        return Discard(NotFound(f"lead {lead_id} is gone", code="leads.not_found"))
    if profile.is_deleted:
        return Discard(Cancelled(f"lead {lead_id} was deleted", code="leads.lead.deleted"))
    is_forced = isinstance(task, EnrichmentWanted) and task.is_forced
    return WaterfallInput(profile, claimed.created_at, is_forced)


def _learned(one: LeadEnded) -> LeadValues:
    """Turn an end into what is written: also a failed lead keeps what was paid for."""
    code = _failure_code(one)
    status = LeadStatus.ENRICHED if code is None else LeadStatus.FAILED
    if isinstance(one.outcome, Discard):
        return LeadValues(lead_id=one.task.lead_id, status=status, failed_code=code)
    result = one.outcome.result
    return LeadValues(
        lead_id=one.task.lead_id,
        values=result.values,
        keys=_new_keys(one.input, result),
        status=status,
        failed_code=code,
    )


def _new_keys(item: WaterfallInput | None, result: Enriched) -> tuple[IdentityKey, ...]:
    """Tell the keys that what is known now gives and what was known before did not.

    What a provider says of a field that a person has decided tells nobody's identity.
    """
    before = () if item is None else _told(item.profile)
    settled = frozenset() if item is None else item.profile.settled
    known = {key.kind: key for key in leads.identity_keys(before)}
    found = [value for value in result.values if value.field not in settled]
    now = set(leads.identity_keys((*found, *before)))
    now |= {
        key
        for provider, provider_id in result.provider_ids
        if (key := leads.provider_key(provider, provider_id)) is not None
    }
    return tuple(sorted(key for key in now if known.get(key.kind) != key))


def _told(profile: LeadProfile) -> tuple[FoundValue, ...]:
    return tuple(
        FoundValue(
            field=won.field,
            value=won.value,
            source=won.source,
            method=won.method,
            observed_at=won.observed_at,
            confidence=won.confidence,
            evidence_hash=won.evidence_hash,
        )
        for won in profile.values.values()
        if won.field in IDENTIFYING
    )


def _ends(one: LeadEnded, settled: Mapping[UUID, ResolvedLead]) -> list[store.End]:
    who = settled.get(one.task.lead_id)
    if who is None:
        return []
    code = _failure_code(one)
    if code is not None:
        return [store.End(_run_id(one), who.lead_id, EnrichmentState.FAILED, code)]
    note = "budget.exhausted" if _is_exhausted(one) else None
    return [store.End(_run_id(one), who.survivor_id, EnrichmentState.COMPLETED, note)]


def _follow(
    one: LeadEnded, settled: Mapping[UUID, ResolvedLead], first: set[tuple[UUID, UUID]]
) -> list[FollowUp]:
    """Name what follows; a survivor goes on once a run, by whichever task came first."""
    who = settled.get(one.task.lead_id)
    if who is None:
        return []
    code = _failure_code(one)
    if code is not None:
        failed = EnrichmentFailed(one.task.lead_id, one.task.icp_id, code)
        return [*_claimed(one), one.follow_up(failed)]
    key = (_run_id(one), who.survivor_id)
    if key not in first:
        return []
    first.discard(key)
    return [one.follow_up(LeadEnriched(who.survivor_id, one.task.icp_id))]


def _merges(ended: Sequence[LeadEnded], settled: Mapping[UUID, ResolvedLead]) -> list[FollowUp]:
    """Name every lead merged away, once."""
    told: dict[UUID, FollowUp] = {}
    for one in ended:
        who = settled.get(one.task.lead_id)
        if who is not None:
            for lost in who.merged_now:
                told.setdefault(lost, one.follow_up(LeadsMerged(lost, who.survivor_id)))
    return list(told.values())


def _claimed(one: LeadEnded) -> list[FollowUp]:
    if isinstance(one.outcome, Discard) or one.outcome.result.claimed_by is None:
        return []
    claimed = PersonClaimed(one.task.lead_id, one.outcome.result.claimed_by)
    return [one.follow_up(claimed)]


def _failure_code(one: LeadEnded) -> str | None:
    if isinstance(one.outcome, Discard):
        return code_of(one.outcome.error)
    return None if one.outcome.result.claimed_by is None else CLAIMED_CODE


def _is_exhausted(one: LeadEnded) -> bool:
    return isinstance(one.outcome, Done) and one.outcome.result.exhausted


def _is_cancelled(one: LeadEnded) -> bool:
    return isinstance(one.outcome, Discard) and isinstance(one.outcome.error, Cancelled)


def _run_id(one: LeadEnded) -> UUID:
    return one.run_id or _NO_RUN
