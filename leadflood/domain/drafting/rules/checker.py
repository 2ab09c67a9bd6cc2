"""The checker: a written draft is let through only if every sentence is carried by facts.

A model may invent, and may obey words hidden in a lead's data. So nothing it writes is believed:
each claim must cite facts that exist, its words, numbers and names must stand in those facts or
in the offer, and what is no claim must be greeting, asking, offer or parting.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from leadflood.contracts.found_values import Scalar
from leadflood.contracts.ports.text import Claim, Draft, DraftRequest
from leadflood.contracts.values import Channel, EmailStatus, FieldName
from leadflood.domain.messaging.claims import find_text, sentences_of
from leadflood.domain.messaging.form import MOST_CLAIMS, check_form, is_endless, parts_of
from leadflood.domain.messaging.schemas import Problem
from leadflood.domain.messaging.vocabulary import (
    CLAIM_WORDS,
    CONNECTIVE_WORDS,
    FUNCTION_WORDS,
    NEGATIONS,
)

_NAMES = frozenset(
    {
        FieldName.FIRST_NAME.value,
        FieldName.LAST_NAME.value,
        FieldName.FULL_NAME.value,
        FieldName.COMPANY_NAME.value,
    }
)
_NUMBER = re.compile(r"[$€£¥]?\s?\d[\d.,]*(?<![.,])[%+]?(?![^\W_])")
_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*[+#]*")
_ABOUT_US = re.compile(
    r"\b(?:i am|i'm|we are|we're|my name is|i work|we work|our company is)\b((?:\W+\w+){0,3})"
)
_SHORTEST_PLURAL = 4


def _stem(word: str) -> str:
    """Take the ending of a possessive or a plural off."""
    plain = word.removesuffix("'s")
    if len(plain) >= _SHORTEST_PLURAL and plain.endswith("s") and not plain.endswith("ss"):
        return plain[:-1]
    return plain


def _stems(*words: frozenset[str]) -> frozenset[str]:
    return frozenset(_stem(word) for group in words for word in group)


_IN_CLAIM = _stems(FUNCTION_WORDS, CLAIM_WORDS)
_BETWEEN = _stems(FUNCTION_WORDS, CONNECTIVE_WORDS)
_IN_SUBJECT = _IN_CLAIM | _BETWEEN


class Route(msgspec.Struct, frozen=True):
    """Where a message may go; `channel` None means nowhere yet, and `reason` says why."""

    channel: Channel | None
    to_address: str = ""
    reason: str = ""


class _Support(msgspec.Struct, frozen=True):
    """What a text may be made of: words and numbers."""

    words: frozenset[str]
    numbers: frozenset[str]

    def plus(self, other: "_Support") -> "_Support":
        return _Support(self.words | other.words, self.numbers | other.numbers)


class _Ground(msgspec.Struct, frozen=True):
    """All that is given for one draft, read once."""

    facts: dict[int, _Support]
    own: _Support
    names: _Support
    all_facts: _Support


def choose_route(values: Mapping[FieldName, Scalar], *, may_whatsapp: bool) -> Route:
    """Choose the channel: a verified e-mail first, WhatsApp only with a recorded opt-in."""
    email = str(values.get(FieldName.EMAIL, "")).strip()
    status = values.get(FieldName.EMAIL_STATUS)
    if email and status == EmailStatus.VALID:
        return Route(Channel.EMAIL, email)
    phone = str(values.get(FieldName.PHONE, "")).strip()
    if phone and may_whatsapp:
        return Route(Channel.WHATSAPP, phone)
    if email:
        reason = f"email.not_verified:{status or EmailStatus.UNKNOWN.value}"
    else:
        reason = "phone.no_opt_in" if phone else "address.missing"
    return Route(None, reason=reason)


def check_draft(
    request: DraftRequest, draft: Draft, allowed_links: tuple[str, ...] = ()
) -> tuple[Problem, ...]:
    """List every reason not to let a written draft through; empty means it may go."""
    problems = list(check_form(request, draft, allowed_links))
    if problems and (is_endless(request, draft) or len(draft.claims) > MOST_CLAIMS):
        return tuple(problems)
    ground = _read_ground(request)
    text = "\n".join(parts_of(request, draft))
    for claim in draft.claims:
        problems.extend(_check_claim(claim, text, ground))
    problems.extend(_check_rest(request, draft, ground))
    return tuple(problems)


def _read_ground(request: DraftRequest) -> _Ground:
    facts = {fact.number: _support([fact.text]) for fact in request.facts}
    names = _support([fact.text for fact in request.facts if fact.field in _NAMES])
    own = _support([request.offer, request.sender_name])
    every = _support([fact.text for fact in request.facts])
    return _Ground(facts=facts, own=own, names=names, all_facts=every)


def _check_claim(claim: Claim, text: str, ground: _Ground) -> Iterator[Problem]:
    shown = claim.text[:120]
    if not claim.facts:
        yield Problem("claim.uncited", shown)
        return
    strange = [number for number in claim.facts if number not in ground.facts]
    if strange:
        yield Problem("claim.unknown_fact", f"{strange[0]}: {shown}")
        return
    if not find_text(claim.text, text):
        yield Problem("claim.not_in_text", shown)
    carried = ground.own
    for number in claim.facts:
        carried = carried.plus(ground.facts[number])
    if not _is_connective(claim.text, ground):
        yield from _check_words(claim.text, carried, _IN_CLAIM, "claim")


def _check_rest(request: DraftRequest, draft: Draft, ground: _Ground) -> Iterator[Problem]:
    is_letter = request.channel is not Channel.WHATSAPP
    free = ground.own.plus(ground.names if is_letter else ground.all_facts)
    if is_letter:
        titled = ground.own.plus(ground.all_facts)
        yield from _check_words(draft.subject, titled, _IN_SUBJECT, "subject")
        yield from _check_about_us(draft.subject, ground)
    text = draft.body if is_letter else "\n".join(draft.parameters)
    claimed = [span for claim in draft.claims for span in find_text(claim.text, text)]
    for start, end in sentences_of(text):
        sentence = text[start:end]
        inside = [(max(a, start) - start, min(b, end) - start) for a, b in claimed]
        rest = _cut_out(sentence, [(a, b) for a, b in inside if a < b])
        yield from _check_words(rest, free, _BETWEEN | _denials(rest, sentence, ground))
        yield from _check_about_us(sentence, ground)


def _is_connective(text: str, ground: _Ground) -> bool:
    """Tell whether a text says nothing beyond greeting, asking, the offer and their names."""
    return not list(_check_words(text, ground.own.plus(ground.names), _BETWEEN))


def _denials(rest: str, sentence: str, ground: _Ground) -> frozenset[str]:
    """Let a sentence say no only where it speaks of nothing that was given."""
    given = ground.own.words | ground.all_facts.words
    spoken = {_stem(word) for word in _words(sentence)} - _BETWEEN
    return NEGATIONS if rest == sentence and given.isdisjoint(spoken) else frozenset()


def _check_words(
    text: str, carried: _Support, neutral: frozenset[str], code: str = "rest"
) -> Iterator[Problem]:
    allowed = carried.words | neutral
    for word in _words(_NUMBER.sub(" ", text)):
        if _stem(word) not in allowed:
            yield Problem(f"{code}.unsupported", f"{word[:40]}: {text.strip()[:120]}")
            break
    for number in _numbers(text):
        if number not in carried.numbers:
            yield Problem(f"{code}.number", f"{number[:40]}: {text.strip()[:120]}")
            break


def _check_about_us(sentence: str, ground: _Ground) -> Iterator[Problem]:
    theirs = ground.all_facts.words - ground.own.words - _BETWEEN
    plain = sentence.casefold().replace("\u2019", "'")
    for found in _ABOUT_US.finditer(plain):
        if theirs.intersection(map(_stem, _words(found.group(1)))):
            yield Problem("text.about_us", sentence[:120])


def _support(texts: Sequence[str]) -> _Support:
    return _Support(
        frozenset(_stem(word) for text in texts for word in _words(text)),
        frozenset(number for text in texts for number in _numbers(text)),
    )


def _words(text: str) -> list[str]:
    return [word.casefold().replace("\u2019", "'") for word in _WORD.findall(text)]


def _numbers(text: str) -> list[str]:
    return [re.sub(r"[\s,]", "", found) for found in _NUMBER.findall(text)]


def _cut_out(text: str, spans: Sequence[tuple[int, int]]) -> str:
    kept = list(text)
    for start, end in spans:
        kept[start:end] = " " * (end - start)
    return "".join(kept)
