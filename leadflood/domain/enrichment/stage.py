"""`enrichment.run`: a lead gets values from providers, and its identity is resolved again."""

from collections.abc import Container, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Self
from uuid import UUID

from typing_extensions import override

from leadflood.contracts.found_values import FoundValue
from leadflood.contracts.parts import Ports, StageParts
from leadflood.domain.discovery.schemas import LeadDiscovered
from leadflood.domain.enrichment import repository
from leadflood.domain.enrichment.repository import EnrichmentEnd, Key
from leadflood.domain.enrichment.schemas import (
    CLAIMED_CODE,
    SUPPRESSED_CODE,
    EnrichmentFailed,
    EnrichmentResult,
    EnrichmentState,
    LeadEnriched,
    LeadsMerged,
    ProviderRecord,
    Settings,
)
from leadflood.domain.enrichment.service.waterfall import Waterfall, WaterfallInput
from leadflood.domain.leads.schemas.events import EnrichmentWanted, LeadCreated, PersonClaimed
from leadflood.domain.leads.schemas.identity import (
    IDENTIFYING,
    IdentityKey,
    LeadValues,
    ResolvedLead,
)
from leadflood.domain.leads.schemas.lead_states import LeadStatus
from leadflood.domain.leads.schemas.profiles import LeadProfile
from leadflood.domain.leads.service import kernel as leads
from leadflood.domain.suppressions.schemas import AddressKey
from leadflood.domain.suppressions.service.recipients import Recipients
from leadflood.engine.clock import Clock
from leadflood.engine.context import ANSWERS_SINCE
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import NotFound, code_of
from leadflood.engine.ids import Ids
from leadflood.engine.queue.outcome import Cancelled, Discard, Done, Outcome
from leadflood.engine.queue.stage import ClaimedTask, FinishedTask, FollowUp, Policy, Stage

EnrichTask = LeadDiscovered | LeadCreated | EnrichmentWanted
FinishedEnrichment = FinishedTask[EnrichTask, EnrichmentResult]
_NO_RUN = UUID(int=0)


class EnrichmentStage(Stage[EnrichTask, WaterfallInput, EnrichmentResult]):
    """Walks the waterfall for each lead; writes values, merges, provider records and ends."""

    name: ClassVar[str] = "enrichment.run"
    task: ClassVar[Any] = EnrichTask
    default_policy: ClassVar[Policy] = Policy(concurrency=256, batch=256, timeout_seconds=120.0)

    def __init__(
        self,
        policy: Policy,
        ports: Ports,
        settings: Settings,
        key: AddressKey,
        ids: Ids,
        clock: Clock,
    ) -> None:
        super().__init__(policy)
        self._enrichers = tuple(
            ports.enrichers[name] for name in settings.order if name in ports.enrichers
        )
        self._verifier = ports.verifier
        self._settings = settings
        self._recipients = Recipients(key)
        self._ids = ids
        self._clock = clock

    @classmethod
    @override
    def build(cls, policy: Policy, parts: StageParts) -> Self:
        settings, key = parts.settings_of(Settings), parts.settings_of(AddressKey)
        return cls(policy, parts.ports, settings, key, parts.ids, parts.clock)

    @override
    async def load(
        self, db: Reader, tasks: Sequence[ClaimedTask[EnrichTask]]
    ) -> Sequence[WaterfallInput | Outcome[EnrichmentResult]]:
        profiles = await leads.find_profiles(db, [claimed.task.lead_id for claimed in tasks])
        unreachable = await self._recipients.find_unreachable(
            db, {profile.lead_id: profile for profile in profiles.values()}.values()
        )
        return [
            _input_of(claimed, profiles.get(claimed.task.lead_id), unreachable) for claimed in tasks
        ]

    @override
    async def work(self, item: WaterfallInput) -> Outcome[EnrichmentResult]:
        if item.is_suppressed:
            return Done(EnrichmentResult(is_suppressed=True))
        walk = Waterfall(item, self._enrichers, self._verifier, self._settings, self._clock)
        token = ANSWERS_SINCE.set(item.created_at if item.is_forced else None)
        try:
            return Done(await walk.run())
        finally:
            ANSWERS_SINCE.reset(token)

    @override
    async def commit(self, tx: Tx, tasks: Sequence[FinishedEnrichment]) -> Sequence[FollowUp]:
        now = self._clock.now()
        finished = [task for task in tasks if not task.is_cancelled]
        resolved = await self._resolve_identities(tx, finished, now)
        ends = [end for task in finished for end in _ends(task, resolved)]
        first_ends = await repository.record_ends(tx, ends, now)
        records = [record for task in finished for record in _records(task, resolved)]
        await repository.record_provider_records(tx, records, now)
        merges = _merges(finished, resolved)
        return merges + [
            follow_up for task in finished for follow_up in _follow_ups(task, resolved, first_ends)
        ]

    async def _resolve_identities(
        self, tx: Tx, finished: Sequence[FinishedEnrichment], now: datetime
    ) -> dict[UUID, ResolvedLead]:
        values = [_lead_values(task) for task in finished]
        resolutions = await leads.record_values(tx, values, self._ids, now)
        return {resolution.lead_id: resolution for resolution in resolutions}


def _input_of(
    claimed: ClaimedTask[EnrichTask], profile: LeadProfile | None, unreachable: Container[UUID]
) -> WaterfallInput | Outcome[EnrichmentResult]:
    lead_id, task = claimed.task.lead_id, claimed.task
    if profile is None:
        return Discard(NotFound(f"lead {lead_id} is gone", code="leads.not_found"))
    if profile.is_deleted:
        return Discard(Cancelled(f"lead {lead_id} was deleted", code="leads.lead.deleted"))
    is_forced = isinstance(task, EnrichmentWanted) and task.is_forced
    is_suppressed = profile.lead_id in unreachable
    return WaterfallInput(profile, claimed.created_at, is_forced, is_suppressed)


def _lead_values(finished: FinishedEnrichment) -> LeadValues:
    """Return what is written of a lead: also a failed one keeps what was paid for."""
    code = _failure_code(finished)
    status = LeadStatus.ENRICHED if code is None else LeadStatus.FAILED
    if isinstance(finished.outcome, Discard):
        return LeadValues(lead_id=finished.task.lead_id, status=status, failed_code=code)
    result = finished.outcome.result
    return LeadValues(
        lead_id=finished.task.lead_id,
        values=result.values,
        keys=_new_keys(finished.input, result),
        status=status,
        failed_code=code,
    )


def _new_keys(item: WaterfallInput | None, result: EnrichmentResult) -> tuple[IdentityKey, ...]:
    """Return the identity keys that the values of now give and those of before did not.

    What a provider says of a field that a person has decided identifies nobody.
    """
    before = () if item is None else _identifying_values(item.profile)
    settled = frozenset() if item is None else item.profile.settled
    existing = {key.kind: key for key in leads.identity_keys(before)}
    values = [value for value in result.values if value.field not in settled]
    keys = set(leads.identity_keys((*values, *before)))
    keys |= {
        key
        for provider, provider_id in result.provider_ids
        if (key := leads.provider_key(provider, provider_id)) is not None
    }
    return tuple(sorted(key for key in keys if existing.get(key.kind) != key))


def _identifying_values(profile: LeadProfile) -> tuple[FoundValue, ...]:
    return tuple(
        FoundValue(
            field=value.field,
            value=value.value,
            source=value.source,
            method=value.method,
            observed_at=value.observed_at,
            confidence=value.confidence,
            evidence_hash=value.evidence_hash,
        )
        for value in profile.values.values()
        if value.field in IDENTIFYING
    )


def _ends(
    finished: FinishedEnrichment, resolved: Mapping[UUID, ResolvedLead]
) -> list[EnrichmentEnd]:
    resolution = resolved.get(finished.task.lead_id)
    if resolution is None:
        return []
    run_id, code = _run_id(finished), _failure_code(finished)
    if code is not None:
        return [EnrichmentEnd(run_id, resolution.lead_id, EnrichmentState.FAILED, code)]
    return [
        EnrichmentEnd(run_id, resolution.survivor_id, EnrichmentState.COMPLETED, _note(finished))
    ]


def _records(
    finished: FinishedEnrichment, resolved: Mapping[UUID, ResolvedLead]
) -> list[tuple[Key, ProviderRecord]]:
    lead_id = finished.task.lead_id
    if lead_id not in resolved or not isinstance(finished.outcome, Done):
        return []
    key = (_run_id(finished), lead_id)
    return [(key, record) for record in finished.outcome.result.records]


def _follow_ups(
    finished: FinishedEnrichment, resolved: Mapping[UUID, ResolvedLead], first_ends: set[Key]
) -> list[FollowUp]:
    """Return what follows; a survivor goes on once a run, by whichever task came first."""
    task, resolution = finished.task, resolved.get(finished.task.lead_id)
    if resolution is None:
        return []
    code = _failure_code(finished)
    if code is not None:
        failed = EnrichmentFailed(task.lead_id, task.icp_id, code)
        return [*_claims(finished), finished.follow_up(failed)]
    key = (_run_id(finished), resolution.survivor_id)
    if key not in first_ends:
        return []
    first_ends.discard(key)
    return [finished.follow_up(LeadEnriched(resolution.survivor_id, task.icp_id))]


def _merges(
    finished: Sequence[FinishedEnrichment], resolved: Mapping[UUID, ResolvedLead]
) -> list[FollowUp]:
    """Return the event of every lead merged away, once."""
    follow_ups: dict[UUID, FollowUp] = {}
    for task in finished:
        resolution = resolved.get(task.task.lead_id)
        if resolution is not None:
            for lead_id in resolution.merged_now:
                event = LeadsMerged(lead_id, resolution.survivor_id)
                follow_ups.setdefault(lead_id, task.follow_up(event))
    return list(follow_ups.values())


def _claims(finished: FinishedEnrichment) -> list[FollowUp]:
    if isinstance(finished.outcome, Discard) or finished.outcome.result.claimed_by is None:
        return []
    event = PersonClaimed(finished.task.lead_id, finished.outcome.result.claimed_by)
    return [finished.follow_up(event)]


def _failure_code(finished: FinishedEnrichment) -> str | None:
    if isinstance(finished.outcome, Discard):
        return code_of(finished.outcome.error)
    return None if finished.outcome.result.claimed_by is None else CLAIMED_CODE


def _note(finished: FinishedEnrichment) -> str | None:
    """Return why less was asked than could be."""
    if isinstance(finished.outcome, Discard):
        return None
    result = finished.outcome.result
    if result.is_suppressed:
        return SUPPRESSED_CODE
    return "budget.exhausted" if result.exhausted else None


def _run_id(finished: FinishedEnrichment) -> UUID:
    return finished.run_id or _NO_RUN
