"""Many lines of the suppression list at once; each item gets its own answer."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

import msgspec
from anyio import to_thread

from leadflood.contracts.addresses import mask_address
from leadflood.domain.auth.schemas.principals import EVERYTHING, Visibility
from leadflood.domain.leads.service import kernel as leads
from leadflood.domain.suppressions import repository
from leadflood.domain.suppressions.repository import NewSuppression, SuppressionOrigin
from leadflood.domain.suppressions.rules.address_hash import AddressHasher
from leadflood.domain.suppressions.rules.written_lines import (
    KeyedValue,
    guess_kind,
    normalize_line,
    read_hash,
)
from leadflood.domain.suppressions.schemas import (
    AddedLines,
    AddressKey,
    Coverage,
    LineOutcome,
    LineResult,
    SendsStopped,
    SuppressionKind,
    WrittenLine,
)
from leadflood.domain.suppressions.service.suppressions import count_covered, refuse_unexpected
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import Conflict, LeadfloodError
from leadflood.engine.ids import Ids
from leadflood.engine.queue.publisher import PublishingTransaction

MOST_BROAD = 20
"""Channels and shared domains in one batch: whom each covers is counted, which takes its time."""
_COUNTED = frozenset({SuppressionKind.CHANNEL, SuppressionKind.DOMAIN})
_NOT_ADMIN = "a channel, a public suffix and a mail provider's domain need admin:write"
_OWN_ONLY = "who sees only their own leads stops no domain: name the address, or ask a manager"
_NO_LEAD = "there is no such lead"


class LineAuthor(msgspec.Struct, frozen=True, kw_only=True):
    """Who adds lines.

    - `by`, `source`: how they are recorded.
    - `reason`: why, where a line does not say.
    - `may_be_broad`: whether they may stop who have nothing in common.
    - `visibility`: the leads that they see.
    """

    by: str
    source: str
    reason: str
    may_be_broad: bool = True
    visibility: Visibility = EVERYTHING


class SuppressionBatches:
    """The use case of many lines."""

    def __init__(self, key: AddressKey, ids: Ids, clock: Clock) -> None:
        self._hasher = AddressHasher(key)
        self._ids = ids
        self._clock = clock

    async def add(
        self, publication: PublishingTransaction, lines: Sequence[WrittenLine], author: LineAuthor
    ) -> AddedLines:
        """Add lines; what is on the list already keeps its line, what is refused says why."""
        tx = publication.tx
        read = await to_thread.run_sync(self._read, lines)
        refused = {index: value for index, value in enumerate(read) if isinstance(value, str)}
        values = {index: value for index, value in enumerate(read) if not isinstance(value, str)}
        refused |= await self._refuse(tx, values, lines, author)
        accepted = {index: value for index, value in values.items() if index not in refused}
        new = [self._line(value, lines[index], author) for index, value in accepted.items()]
        added = await repository.add_suppressions(tx, new, self._clock.now())
        ids = await repository.find_line_ids(tx, [value.key for value in accepted.values()])
        pairs = zip(new, accepted.values(), strict=True)
        await self._tell(publication, pairs, added, author.by)
        return _answer(len(lines), refused, accepted, added, ids)

    def _read(self, lines: Sequence[WrittenLine]) -> list[KeyedValue | str]:
        return [self._read_line(line) for line in lines]

    def _read_line(self, line: WrittenLine) -> KeyedValue | str:
        """Return what a line stops, or why it stops nothing."""
        if not line.value and line.hash:
            return read_hash(line, self._hasher.fingerprint)
        kind = line.kind or guess_kind(line.value)
        try:
            value = normalize_line(kind, line.value)
        except LeadfloodError as error:
            return f"{line.value[:80]!r}: {error.detail}"
        return KeyedValue(
            kind=kind,
            key=self._hasher.hash_value(kind, value),
            hint=mask_address(value),
            value=value,
        )

    def _line(self, value: KeyedValue, line: WrittenLine, author: LineAuthor) -> NewSuppression:
        return NewSuppression(
            id=self._ids.new(),
            kind=value.kind,
            key=value.key,
            hint=value.hint,
            origin=SuppressionOrigin(
                reason=line.reason.strip() or author.reason, source=author.source, by=author.by
            ),
        )

    async def _refuse(
        self,
        tx: Tx,
        values: Mapping[int, KeyedValue],
        lines: Sequence[WrittenLine],
        author: LineAuthor,
    ) -> dict[int, str]:
        """Return what the author may not stop, or has not confirmed."""
        refused = await _refuse_foreign(tx, values, author)
        broad = [index for index, value in values.items() if value.is_broad]
        for index in broad:
            if not author.may_be_broad:
                refused[index] = _NOT_ADMIN
            elif index in broad[MOST_BROAD:]:
                refused[index] = f"only {MOST_BROAD} broad lines are added at once: add it alone"
            else:
                coverage = await count_covered(tx, values[index].kind, values[index].value)
                try:
                    refuse_unexpected(lines[index].expected_count, coverage or Coverage(0, 0))
                except Conflict as error:
                    refused[index] = error.detail
        return refused

    async def _tell(
        self,
        publication: PublishingTransaction,
        pairs: Iterable[tuple[NewSuppression, KeyedValue]],
        added: frozenset[bytes],
        by: str,
    ) -> None:
        """Tell whoever sends of due sends that are stopped by new domains and channels."""
        counted = {
            line.id: (line.kind, value.value)
            for line, value in pairs
            if line.key in added and line.kind in _COUNTED and value.value
        }
        counts = await repository.count_stopped(publication.tx, counted)
        events = [
            SendsStopped(line_id, counted[line_id][0], by, count)
            for line_id, count in counts.items()
        ]
        if events:
            await publication.publish(events)


async def _refuse_foreign(
    tx: Tx, values: Mapping[int, KeyedValue], author: LineAuthor
) -> dict[int, str]:
    """Return what reaches leads that the author does not see."""
    if not author.visibility.is_limited:
        return {}
    lead_ids = {
        index: UUID(value.value.partition(" ")[0])
        for index, value in values.items()
        if value.kind is SuppressionKind.LEAD and value.value
    }
    states = await leads.lock_states(tx, set(lead_ids.values()))
    refused = {
        index: _NO_LEAD
        for index, lead_id in lead_ids.items()
        if lead_id not in states or not author.visibility.allows(states[lead_id].owner)
    }
    return refused | {
        index: _OWN_ONLY
        for index, value in values.items()
        if value.kind is not SuppressionKind.ADDRESS and index not in lead_ids
    }


def _answer(
    line_count: int,
    refused: Mapping[int, str],
    accepted: Mapping[int, KeyedValue],
    added: frozenset[bytes],
    ids: Mapping[bytes, UUID],
) -> AddedLines:
    results = []
    seen: set[bytes] = set()
    for index in range(line_count):
        if index in refused:
            results.append(LineResult(index, LineOutcome.REFUSED, problem=refused[index]))
            continue
        key = accepted[index].key
        outcome = LineOutcome.ADDED if key in added and key not in seen else LineOutcome.KNOWN
        seen.add(key)
        results.append(LineResult(index, outcome, id=ids.get(key)))
    outcomes = [result.outcome for result in results]
    return AddedLines(
        added=outcomes.count(LineOutcome.ADDED),
        known=outcomes.count(LineOutcome.KNOWN),
        refused=outcomes.count(LineOutcome.REFUSED),
        items=tuple(results),
    )
