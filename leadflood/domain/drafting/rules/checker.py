"""The checker: a written draft passes only if every sentence is carried by facts.

A model may invent, and may obey words hidden in a lead's data. So nothing it writes is believed:
each claim must cite facts that exist, its words, numbers and names must stand in those facts or
in the offer, and what is no claim must be greeting, asking, offer or parting.
"""

import re
from collections.abc import Iterator, Sequence

import msgspec

from leadflood.contracts.ports.text import Claim, Draft, DraftRequest
from leadflood.contracts.values import Channel, FieldName
from leadflood.domain.drafting.rules.citations import find_sentences, find_text
from leadflood.domain.drafting.rules.limits import (
    MAX_CLAIMS,
    check_limits,
    is_endless,
    visible_parts,
)
from leadflood.domain.drafting.rules.vocabulary import (
    CLAIM_WORDS,
    CONNECTIVE_WORDS,
    FUNCTION_WORDS,
    NEGATIONS,
)
from leadflood.domain.drafting.schemas import DraftProblem

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
    """Return a word without the ending of a possessive or a plural."""
    plain = word.removesuffix("'s")
    if len(plain) >= _SHORTEST_PLURAL and plain.endswith("s") and not plain.endswith("ss"):
        return plain[:-1]
    return plain


def _stems(*words: frozenset[str]) -> frozenset[str]:
    return frozenset(_stem(word) for group in words for word in group)


_IN_CLAIM = _stems(FUNCTION_WORDS, CLAIM_WORDS)
_BETWEEN = _stems(FUNCTION_WORDS, CONNECTIVE_WORDS)
_IN_SUBJECT = _IN_CLAIM | _BETWEEN


class _Support(msgspec.Struct, frozen=True):
    """The words and numbers that a text may contain."""

    words: frozenset[str]
    numbers: frozenset[str]

    def plus(self, other: "_Support") -> "_Support":
        return _Support(self.words | other.words, self.numbers | other.numbers)


class _Sources(msgspec.Struct, frozen=True):
    """All that one draft may be made of, read once.

    `facts` by their numbers; `own` is the offer and the sender; `names` are those of the lead.
    """

    facts: dict[int, _Support]
    own: _Support
    names: _Support
    all_facts: _Support


def check_draft(
    request: DraftRequest, draft: Draft, allowed_links: tuple[str, ...] = ()
) -> tuple[DraftProblem, ...]:
    """List every reason not to let a written draft through; empty means it may go."""
    problems = list(check_limits(request, draft, allowed_links))
    if problems and (is_endless(request, draft) or len(draft.claims) > MAX_CLAIMS):
        return tuple(problems)
    sources = _read_sources(request)
    text = "\n".join(visible_parts(request, draft))
    for claim in draft.claims:
        problems.extend(_check_claim(claim, text, sources))
    problems.extend(_check_rest(request, draft, sources))
    return tuple(problems)


def _read_sources(request: DraftRequest) -> _Sources:
    facts = {fact.number: _read_support([fact.text]) for fact in request.facts}
    names = _read_support([fact.text for fact in request.facts if fact.field in _NAMES])
    own = _read_support([request.offer, request.sender_name])
    all_facts = _read_support([fact.text for fact in request.facts])
    return _Sources(facts=facts, own=own, names=names, all_facts=all_facts)


def _check_claim(claim: Claim, text: str, sources: _Sources) -> Iterator[DraftProblem]:
    excerpt = claim.text[:120]
    if not claim.facts:
        yield DraftProblem("claim.uncited", excerpt)
        return
    unknown = [number for number in claim.facts if number not in sources.facts]
    if unknown:
        yield DraftProblem("claim.unknown_fact", f"{unknown[0]}: {excerpt}")
        return
    if not find_text(claim.text, text):
        yield DraftProblem("claim.not_in_text", excerpt)
    support = sources.own
    for number in claim.facts:
        support = support.plus(sources.facts[number])
    if not _is_connective(claim.text, sources):
        yield from _check_words(claim.text, support, _IN_CLAIM, "claim")


def _check_rest(request: DraftRequest, draft: Draft, sources: _Sources) -> Iterator[DraftProblem]:
    is_letter = request.channel is not Channel.WHATSAPP
    free = sources.own.plus(sources.names if is_letter else sources.all_facts)
    if is_letter:
        titled = sources.own.plus(sources.all_facts)
        yield from _check_words(draft.subject, titled, _IN_SUBJECT, "subject")
        yield from _check_about_us(draft.subject, sources)
    text = draft.body if is_letter else "\n".join(draft.parameters)
    claimed = [span for claim in draft.claims for span in find_text(claim.text, text)]
    for start, end in find_sentences(text):
        sentence = text[start:end]
        inside = [(max(a, start) - start, min(b, end) - start) for a, b in claimed]
        rest = _cut_out(sentence, [(a, b) for a, b in inside if a < b])
        yield from _check_words(rest, free, _BETWEEN | _denials(rest, sentence, sources))
        yield from _check_about_us(sentence, sources)


def _is_connective(text: str, sources: _Sources) -> bool:
    """Whether a text says nothing beyond greeting, asking, the offer and their names."""
    return not list(_check_words(text, sources.own.plus(sources.names), _BETWEEN))


def _denials(rest: str, sentence: str, sources: _Sources) -> frozenset[str]:
    """Return the words of denial: allowed where a sentence speaks of nothing it was given."""
    material = sources.own.words | sources.all_facts.words
    used = {_stem(word) for word in _words(sentence)} - _BETWEEN
    return NEGATIONS if rest == sentence and material.isdisjoint(used) else frozenset()


def _check_words(
    text: str, support: _Support, neutral: frozenset[str], code: str = "rest"
) -> Iterator[DraftProblem]:
    allowed = support.words | neutral
    for word in _words(_NUMBER.sub(" ", text)):
        if _stem(word) not in allowed:
            yield DraftProblem(f"{code}.unsupported", f"{word[:40]}: {text.strip()[:120]}")
            break
    for number in _numbers(text):
        if number not in support.numbers:
            yield DraftProblem(f"{code}.number", f"{number[:40]}: {text.strip()[:120]}")
            break


def _check_about_us(sentence: str, sources: _Sources) -> Iterator[DraftProblem]:
    theirs = sources.all_facts.words - sources.own.words - _BETWEEN
    plain = sentence.casefold().replace("\u2019", "'")
    for match in _ABOUT_US.finditer(plain):
        if theirs.intersection(map(_stem, _words(match.group(1)))):
            yield DraftProblem("text.about_us", sentence[:120])


def _read_support(texts: Sequence[str]) -> _Support:
    return _Support(
        frozenset(_stem(word) for text in texts for word in _words(text)),
        frozenset(number for text in texts for number in _numbers(text)),
    )


def _words(text: str) -> list[str]:
    return [word.casefold().replace("\u2019", "'") for word in _WORD.findall(text)]


def _numbers(text: str) -> list[str]:
    return [re.sub(r"[\s,]", "", number) for number in _NUMBER.findall(text)]


def _cut_out(text: str, spans: Sequence[tuple[int, int]]) -> str:
    characters = list(text)
    for start, end in spans:
        characters[start:end] = " " * (end - start)
    return "".join(characters)
