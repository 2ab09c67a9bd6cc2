"""One lead's way past the providers: each is asked only for what is still missing or weak.

What a provider's error means here (STYLE §4): it is down, says wait or has no credits left → the
next is asked, and if nobody could tell anything, the error is the task's own. Our own pacing
(Throttled by the gate) is waited for, because asking a dearer provider instead would cost money.
Refused, denied, changed, not configured → the next. Money spent → go on with what there is.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from leadflood.contracts.errors import PersonOptedOut, ProviderChanged, ProviderThrottled
from leadflood.contracts.found_values import FoundValue
from leadflood.contracts.ports.email import EmailVerdict, EmailVerifier
from leadflood.contracts.ports.people import PersonAnswer, PersonEnricher, PersonSubject
from leadflood.contracts.values import EmailStatus, FieldName
from leadflood.domain.enrichment.rules import (
    BestValue,
    adopt_values,
    best_values,
    find_weak_fields,
    needs_verifying,
    person_subject,
)
from leadflood.domain.enrichment.schemas import (
    EnrichmentResult,
    EnrichmentState,
    ProviderRecord,
    Settings,
)
from leadflood.domain.leads.schemas import LeadProfile
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

_UNSURE = 0.01


class WaterfallInput(msgspec.Struct, frozen=True):
    """A lead to learn more of; `created_at` is since when it waits.

    `is_forced`: also what is known is asked for again, but for what a person has decided; answers
    kept from before do not count, those of an earlier try do.
    """

    profile: LeadProfile
    created_at: datetime
    is_forced: bool = False


class Waterfall:
    """The walk of one lead; `run` goes past all providers once."""

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
        self._known: dict[FieldName, BestValue] = best_values(item.profile, clock.now())
        self._provider_ids = dict(item.profile.provider_ids)
        self._new_ids: list[tuple[str, str]] = []
        self._values: list[FoundValue] = []
        self._renewed: frozenset[FieldName] = frozenset()
        self._records: list[ProviderRecord] = []
        self._postponed: list[Throttled | Transient] = []
        self._changed: ProviderChanged | None = None
        self._exhausted = False
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
        self._refuse_to_end_empty()
        return EnrichmentResult(
            values=tuple(self._values),
            provider_ids=tuple(self._new_ids),
            records=tuple(self._records),
            exhausted=self._exhausted,
            claimed_by=self._claimed_by,
        )

    def _refuse_to_end_empty(self) -> None:
        if self._has_answer():
            return
        if self._postponed:
            raise min(self._postponed, key=_wait_seconds)
        nobody = all(record.state is EnrichmentState.FAILED for record in self._records)
        if self._changed is not None and nobody:
            raise self._changed

    def _is_over(self) -> bool:
        return self._exhausted or self._claimed_by is not None

    def _has_answer(self) -> bool:
        return self._is_over() or any(record.is_found for record in self._records)

    async def _ask(self, enricher: PersonEnricher) -> None:
        asked = self._wanted() & enricher.gives
        subject = self._subject()
        if not asked or not enricher.may_ask(subject):
            return
        asked_at = self._clock.now()
        try:
            answer = await enricher.enrich(subject)
        except LeadfloodError as error:
            self._meet(enricher.name, asked, asked_at, error)
        else:
            self._take(enricher.name, asked, asked_at, answer)

    def _wanted(self) -> frozenset[FieldName]:
        """Tell what is worth asking for: never what a person has decided."""
        fields = self._settings.fields
        if self._item.is_forced:
            missing = frozenset(fields) - self._renewed
        else:
            missing = find_weak_fields(self._known, fields, self._settings.weak_confidence)
        return missing - self._item.profile.settled

    def _subject(self) -> PersonSubject:
        return person_subject(str(self._item.profile.lead_id), self._provider_ids, self._known)

    def _take(
        self,
        provider: str,
        asked: frozenset[FieldName],
        asked_at: datetime,
        answer: PersonAnswer,
    ) -> None:
        adopt_values(self._known, answer.values, self._clock.now())
        self._values += answer.values
        if answer.provider_id and self._provider_ids.get(provider) != answer.provider_id:
            self._provider_ids.setdefault(provider, answer.provider_id)
            self._new_ids.append((provider, answer.provider_id))
        told = {found.field for found in answer.values}
        self._renewed |= told
        self._records.append(
            ProviderRecord(
                provider=provider,
                state=EnrichmentState.COMPLETED,
                asked_at=asked_at,
                is_found=answer.found,
                is_cached=answer.cached,
                cost_micros=answer.cost_micros,
                asked_fields=tuple(sorted(asked)),
                found_fields=tuple(sorted(asked & told)),
            )
        )

    def _meet(
        self,
        provider: str,
        asked: frozenset[FieldName],
        asked_at: datetime,
        error: LeadfloodError,
    ) -> None:
        """Write down why a provider did not answer, and decide who goes on.

        Raises: the error itself when it is our own pacing, or no error of the outside.
        """
        match error:
            case Throttled() if self._is_own_turn(error):
                raise error
            case Throttled() | Transient():
                self._postponed.append(error)
            case CapSpent():
                self._exhausted = True
            case PersonOptedOut():
                self._claimed_by = provider
            case ProviderChanged():
                self._changed = error
            case Permanent():  # refused, denied, not configured: the next one
                pass
            case _:
                raise error
        self._records.append(
            ProviderRecord(
                provider=provider,
                state=EnrichmentState.FAILED,
                asked_at=asked_at,
                code=error.error_code,
                asked_fields=tuple(sorted(asked)),
            )
        )

    def _is_own_turn(self, error: Throttled) -> bool:
        is_ours = not isinstance(error, Unfunded | ProviderThrottled | BreakerOpen)
        return is_ours and error.retry_after_seconds <= self._settings.longest_turn_seconds

    async def _verify(self) -> None:
        """Have the address checked when nobody vouches for it; a slow check is waited for."""
        verifier = self._verifier
        if verifier is None or not self._settings.verify:
            return
        if not needs_verifying(self._known, self._settings.weak_confidence):
            return
        email = str(self._known[FieldName.EMAIL].value)
        asked_at = self._clock.now()
        waited = (asked_at - self._item.created_at).total_seconds()
        try:
            verdict = await verifier.verify(email, str(self._item.profile.lead_id))
        except Throttled as error:
            patient = waited < self._settings.verify_patience_seconds
            patient = patient and not isinstance(error, BreakerOpen)
            if patient and error.retry_after_seconds <= self._settings.longest_turn_seconds:
                raise
            self._note_check(verifier.name, asked_at, error)
        except (Transient, Permanent) as error:
            self._note_check(verifier.name, asked_at, error)
        else:
            self._take_verdict(email, asked_at, verdict)

    def _take_verdict(self, email: str, asked_at: datetime, verdict: EmailVerdict) -> None:
        """Keep the verdict with the address it is about, so that it is never read for another."""
        sure = verdict.status is EmailStatus.VALID
        about = msgspec.structs.replace(
            verdict.value,
            field=FieldName.EMAIL,
            value=email,
            confidence=verdict.value.confidence if sure else _UNSURE,
            cost_micros=0,
        )
        adopt_values(self._known, (about, verdict.value), self._clock.now())
        self._values += (about, verdict.value)
        self._records.append(
            ProviderRecord(
                provider=f"{verdict.value.source}:verify",
                state=EnrichmentState.COMPLETED,
                asked_at=asked_at,
                is_found=True,
                is_cached=verdict.cached,
                cost_micros=verdict.cost_micros,
                asked_fields=(FieldName.EMAIL_STATUS,),
                found_fields=(FieldName.EMAIL_STATUS,),
            )
        )

    def _note_check(self, provider: str, asked_at: datetime, error: LeadfloodError) -> None:
        if isinstance(error, PersonOptedOut):
            self._claimed_by = provider
        if isinstance(error, CapSpent):
            self._exhausted = True
        self._records.append(
            ProviderRecord(
                provider=f"{provider}:verify",
                state=EnrichmentState.FAILED,
                asked_at=asked_at,
                code=error.error_code,
                asked_fields=(FieldName.EMAIL_STATUS,),
            )
        )


def _wait_seconds(error: Throttled | Transient) -> float:
    return error.retry_after_seconds or 0.0
