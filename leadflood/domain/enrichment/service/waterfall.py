"""The waterfall: providers in order, each asked only for what is still missing or weak.

What a provider's error means here: it is down, throttles us or has no credits left → the
next is asked, and if nobody could answer, the error is the task's own. Our own pacing
(Throttled by the gateway) is waited for, because asking a dearer provider instead would cost money.
Refused, denied, changed, not configured → the next. Budget spent → go on with what there is.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from leadflood.contracts.errors import PersonOptedOut, ProviderChanged, ProviderThrottled
from leadflood.contracts.found_values import FOUND_BY_NAME, FoundValue
from leadflood.contracts.ports.email import EmailVerdict, EmailVerifier
from leadflood.contracts.ports.people import PersonAnswer, PersonEnricher
from leadflood.contracts.values import EmailStatus, FieldName
from leadflood.domain.enrichment.rules import (
    BestValue,
    adopt_values,
    best_values,
    find_weak_fields,
    mark_found_by_name,
    needs_verifying,
    person_subject,
    proven_subject,
)
from leadflood.domain.enrichment.schemas import (
    EnrichmentResult,
    EnrichmentState,
    ProviderRecord,
    Settings,
)
from leadflood.domain.leads.schemas.profiles import LeadProfile
from leadflood.engine.clock import Clock
from leadflood.engine.errors import (
    CapSpent,
    LeadfloodError,
    Permanent,
    Throttled,
    Transient,
    Unfunded,
)
from leadflood.engine.net.breaker import BreakerOpen

_UNVERIFIED_CONFIDENCE = 0.01


class WaterfallInput(msgspec.Struct, frozen=True):
    """A lead to enrich.

    `created_at`: since when it waits.
    `is_forced`: known values are asked for again, except those that a person has decided; answers
    stored before `created_at` do not count, those of an earlier try do.
    `is_suppressed`: nothing may be sent to the person, so nobody is paid to know more of them.
    """

    profile: LeadProfile
    created_at: datetime
    is_forced: bool = False
    is_suppressed: bool = False


class Waterfall:
    """The walk of one lead past the providers; `run` walks it once."""

    def __init__(
        self,
        item: WaterfallInput,
        enrichers: Sequence[PersonEnricher],
        verifier: EmailVerifier | None,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._item = item
        self._enrichers = enrichers
        self._verifier = verifier
        self._settings = settings
        self._clock = clock
        self._best: dict[FieldName, BestValue] = best_values(item.profile, clock.now())
        self._provider_ids = dict(item.profile.provider_ids)
        self._new_ids: list[tuple[str, str]] = []
        self._values: list[FoundValue] = []
        self._renewed: frozenset[FieldName] = frozenset()
        self._records: list[ProviderRecord] = []
        self._postponed: list[Throttled | Transient] = []
        self._changed: ProviderChanged | None = None
        self._is_exhausted = False
        self._claimed_by: str | None = None

    async def run(self) -> EnrichmentResult:
        """Ask one provider after the other.

        Raises: Throttled or Transient when nobody could answer and one of them may later.
        """
        for enricher in self._enrichers:
            if self._is_over():
                break
            await self._ask(enricher)
        if not self._is_over():
            await self._verify()
        self._require_answer()
        return EnrichmentResult(
            values=tuple(self._values),
            provider_ids=tuple(self._new_ids),
            records=tuple(self._records),
            exhausted=self._is_exhausted,
            claimed_by=self._claimed_by,
        )

    def _require_answer(self) -> None:
        """Raise the error that may pass soonest when nobody could answer."""
        if self._has_answer():
            return
        if self._postponed:
            raise min(self._postponed, key=_wait_seconds)
        all_failed = all(record.state is EnrichmentState.FAILED for record in self._records)
        if self._changed is not None and all_failed:
            raise self._changed

    def _is_over(self) -> bool:
        return self._is_exhausted or self._claimed_by is not None

    def _has_answer(self) -> bool:
        return self._is_over() or any(record.is_found for record in self._records)

    async def _ask(self, enricher: PersonEnricher) -> None:
        fields = self._fields_to_ask() & enricher.gives
        lead_id = str(self._item.profile.lead_id)
        subject = person_subject(lead_id, self._provider_ids, self._best)
        if not fields or not enricher.may_ask(subject):
            return
        request = ProviderRecord(
            provider=enricher.name,
            state=EnrichmentState.PENDING,
            asked_at=self._clock.now(),
            asked_fields=tuple(sorted(fields)),
        )
        try:
            answer = await enricher.enrich(subject)
        except LeadfloodError as error:
            self._record_failure(request, error)
        else:
            is_certain = enricher.is_certain(proven_subject(subject, self._best))
            self._record_answer(request, answer if is_certain else _found_by_name(answer))

    def _fields_to_ask(self) -> frozenset[FieldName]:
        """Return the fields worth asking for: never those that a person has decided."""
        fields = self._settings.fields
        if self._item.is_forced:
            weak = frozenset(fields) - self._renewed
        else:
            weak = find_weak_fields(self._best, fields, self._settings.weak_confidence)
        return weak - self._item.profile.settled

    def _record_answer(self, request: ProviderRecord, answer: PersonAnswer) -> None:
        adopt_values(self._best, answer.values, self._clock.now())
        self._values += answer.values
        provider, provider_id = request.provider, answer.provider_id
        if provider_id and self._provider_ids.get(provider) != provider_id:
            self._provider_ids.setdefault(provider, provider_id)
            self._new_ids.append((provider, provider_id))
        fields = {value.field for value in answer.values}
        self._renewed |= fields
        self._records.append(
            msgspec.structs.replace(
                request,
                state=EnrichmentState.COMPLETED,
                is_found=answer.found,
                is_cached=answer.cached,
                cost_micros=answer.cost_micros,
                found_fields=tuple(sorted(fields.intersection(request.asked_fields))),
            )
        )

    def _record_failure(self, request: ProviderRecord, error: LeadfloodError) -> None:
        """Record why a provider did not answer, and decide how the walk goes on.

        Raises: the error itself when it is our own pacing, or no error of the outside.
        """
        match error:
            case Throttled() if self._is_own_pacing(error):
                raise error
            case Throttled() | Transient():
                self._postponed.append(error)
            case CapSpent():
                self._is_exhausted = True
            case PersonOptedOut():
                self._claimed_by = request.provider
            case ProviderChanged():
                self._changed = error
            case Permanent():  # refused, denied, not configured: the next provider
                pass
            case _:
                raise error
        self._records.append(_failed(request, error))

    def _is_own_pacing(self, error: Throttled) -> bool:
        is_ours = not isinstance(error, Unfunded | ProviderThrottled | BreakerOpen)
        return is_ours and error.retry_after_seconds <= self._settings.longest_turn_seconds

    async def _verify(self) -> None:
        """Have the address verified when nobody has done so; a slow check is waited for."""
        verifier = self._verifier
        if verifier is None or not self._settings.verify:
            return
        if not needs_verifying(self._best, self._settings.weak_confidence):
            return
        email = str(self._best[FieldName.EMAIL].value)
        request = ProviderRecord(
            provider=f"{verifier.name}:verify",
            state=EnrichmentState.PENDING,
            asked_at=self._clock.now(),
            asked_fields=(FieldName.EMAIL_STATUS,),
        )
        try:
            verdict = await verifier.verify(email, str(self._item.profile.lead_id))
        except (Transient, Permanent, Throttled) as error:
            if isinstance(error, Throttled) and self._waits_for_verifier(error, request.asked_at):
                raise
            self._record_failed_check(request, error, verifier.name)
        else:
            self._record_verdict(request, email, verdict)

    def _waits_for_verifier(self, error: Throttled, asked_at: datetime) -> bool:
        """Whether a verifier's pacing is waited for, or the lead goes on without it."""
        waited_seconds = (asked_at - self._item.created_at).total_seconds()
        is_patient = waited_seconds < self._settings.verify_patience_seconds
        is_short = error.retry_after_seconds <= self._settings.longest_turn_seconds
        return is_patient and is_short and not isinstance(error, BreakerOpen)

    def _record_verdict(self, request: ProviderRecord, email: str, verdict: EmailVerdict) -> None:
        """Keep the verdict with the address it is about, so that it is never read for another."""
        is_valid = verdict.status is EmailStatus.VALID
        method = verdict.value.method
        if self._best[FieldName.EMAIL].is_by_name:
            method += FOUND_BY_NAME
        address = msgspec.structs.replace(
            verdict.value,
            field=FieldName.EMAIL,
            value=email,
            method=method,
            confidence=verdict.value.confidence if is_valid else _UNVERIFIED_CONFIDENCE,
            cost_micros=0,
        )
        adopt_values(self._best, (address, verdict.value), self._clock.now())
        self._values += (address, verdict.value)
        self._records.append(
            msgspec.structs.replace(
                request,
                provider=f"{verdict.value.source}:verify",
                state=EnrichmentState.COMPLETED,
                is_found=True,
                is_cached=verdict.cached,
                cost_micros=verdict.cost_micros,
                found_fields=(FieldName.EMAIL_STATUS,),
            )
        )

    def _record_failed_check(
        self, request: ProviderRecord, error: LeadfloodError, verifier: str
    ) -> None:
        if isinstance(error, PersonOptedOut):
            self._claimed_by = verifier
        if isinstance(error, CapSpent):
            self._is_exhausted = True
        self._records.append(_failed(request, error))


def _found_by_name(answer: PersonAnswer) -> PersonAnswer:
    """Return an answer that may be another's of that name: it identifies nobody."""
    values = mark_found_by_name(answer.values)
    return msgspec.structs.replace(answer, values=values, provider_id=None)


def _failed(request: ProviderRecord, error: LeadfloodError) -> ProviderRecord:
    return msgspec.structs.replace(request, state=EnrichmentState.FAILED, code=error.error_code)


def _wait_seconds(error: Throttled | Transient) -> float:
    return error.retry_after_seconds or 0.0
