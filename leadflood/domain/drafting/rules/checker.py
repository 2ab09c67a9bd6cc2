"""The checker: a written draft passes only if every clause is carried by facts, or is courtesy.

A model may invent, and may obey words hidden in a lead's data. So nothing it writes is believed:
each claim must cite facts that exist, each of its clauses must say nothing but one of these
(`relations`), and what is no claim must be greeting, asking, offer or parting (`courtesy`).
"""

import re
from collections.abc import Iterator, Sequence

from leadflood.contracts.ports.text import Claim, Draft, DraftRequest
from leadflood.contracts.values import Channel
from leadflood.domain.drafting.rules.citations import find_sentences, find_text
from leadflood.domain.drafting.rules.clauses import split_clauses
from leadflood.domain.drafting.rules.courtesy import find_fault
from leadflood.domain.drafting.rules.headline import find_headline_fault
from leadflood.domain.drafting.rules.lexicon import Lexicon, read_lexicon
from leadflood.domain.drafting.rules.limits import (
    MAX_CLAIMS,
    check_limits,
    is_endless,
    visible_parts,
)
from leadflood.domain.drafting.rules.relations import find_claim_fault, leave_out_roles
from leadflood.domain.drafting.rules.tokens import is_fact
from leadflood.domain.drafting.schemas import DraftProblem

_DIGIT = re.compile(r"\d")
_Spans = Sequence[tuple[int, int, frozenset[int]]]


def check_draft(
    request: DraftRequest, draft: Draft, allowed_links: tuple[str, ...] = ()
) -> tuple[DraftProblem, ...]:
    """List every reason not to let a written draft through; empty means it may go."""
    problems = list(check_limits(request, draft, allowed_links))
    if problems and (is_endless(request, draft) or len(draft.claims) > MAX_CLAIMS):
        return tuple(problems)
    lexicon = read_lexicon(request)
    text = "\n".join(visible_parts(request, draft))
    for claim in draft.claims:
        problems.extend(_check_citation(claim, text, lexicon))
    if request.channel is Channel.WHATSAPP:
        for parameter in draft.parameters:
            problems.extend(_check_headline(parameter, lexicon, "rest"))
    else:
        problems.extend(_check_headline(draft.subject, lexicon, "subject"))
        problems.extend(_check_body(draft, lexicon))
    return tuple(problems)


def _check_citation(claim: Claim, text: str, lexicon: Lexicon) -> Iterator[DraftProblem]:
    excerpt = claim.text[:120]
    unknown = [number for number in claim.facts if number not in lexicon.facts]
    if not claim.facts:
        yield DraftProblem("claim.uncited", excerpt)
    elif unknown:
        yield DraftProblem("claim.unknown_fact", f"{unknown[0]}: {excerpt}")
    elif not find_text(claim.text, text):
        yield DraftProblem("claim.not_in_text", excerpt)


def _check_body(draft: Draft, lexicon: Lexicon) -> Iterator[DraftProblem]:
    spans = [
        (start, end, frozenset(claim.facts))
        for claim in draft.claims
        for start, end in find_text(claim.text, draft.body)
    ]
    for start, end in find_sentences(draft.body):
        sentence = draft.body[start:end]
        cited = _cited(spans, start, end)
        is_question = sentence.rstrip().endswith("?")
        for clause in split_clauses(sentence, lexicon, cited):
            fault = _find_fault(clause, is_claim=bool(cited), is_question=is_question)
            if fault is not None:
                yield _problem("claim" if cited else "rest", fault, sentence)
                break


def _cited(spans: _Spans, start: int, end: int) -> frozenset[int]:
    """Return the facts that a whole sentence is claimed by."""
    covering = (numbers for a, b, numbers in spans if a <= start and end <= b + 1)
    return frozenset().union(*covering)


def _find_fault(clause: Sequence[str], *, is_claim: bool, is_question: bool) -> str | None:
    """Return what is wrong with a clause, as a claim or else as courtesy; None: nothing."""
    courtesy = find_fault(clause, is_question=is_question)
    if courtesy is None or not (is_claim and any(map(is_fact, clause))):
        return courtesy
    fault = find_claim_fault(clause)
    rest = leave_out_roles(clause)
    if fault is None or len(rest) == len(clause):
        return fault
    return fault if rest and find_fault(rest, is_question=is_question) else None


def _check_headline(text: str, lexicon: Lexicon, code: str) -> Iterator[DraftProblem]:
    for start, end in find_sentences(text):
        sentence = text[start:end]
        for clause in split_clauses(sentence, lexicon, lexicon.all_facts):
            fault = find_headline_fault(clause, is_question=sentence.rstrip().endswith("?"))
            if fault is not None:
                yield _problem(code, fault, sentence)
                break


def _problem(code: str, fault: str, sentence: str) -> DraftProblem:
    kind, _, word = fault.partition(":")
    excerpt = sentence.strip()[:120]
    if kind == "about_us":
        return DraftProblem("text.about_us", excerpt)
    if kind != "unsupported":
        return DraftProblem(f"{code}.{kind}", excerpt)
    kind = "number" if _DIGIT.search(word) else kind
    return DraftProblem(f"{code}.{kind}", f"{word[:40]}: {excerpt}")
