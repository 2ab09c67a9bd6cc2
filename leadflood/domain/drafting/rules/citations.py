"""Where a text makes which claim: sentences, and the places of claims in characters."""

import re
from collections.abc import Sequence

from leadflood.contracts.ports.text import Claim, NumberedFact

_SENTENCE = re.compile(r"[^\n.!?]*(?:[.!?]+(?=\S)[^\n.!?]*)*[.!?]*")


def claims_in(text: str, facts: Sequence[NumberedFact]) -> tuple[Claim, ...]:
    """Name the sentences of a rendered template that carry facts, and which."""
    claims = []
    for start, end in sentences_of(text):
        sentence = text[start:end]
        cited = tuple(fact.number for fact in facts if _stands_in(fact.text, sentence))
        if cited:
            claims.append(Claim(sentence, cited))
    return tuple(claims)


def spans_of(text: str, claims: Sequence[Claim]) -> dict[int, list[tuple[int, int]]]:
    """Tell for each fact number where in the text it is claimed (start, end in characters)."""
    spans: dict[int, list[tuple[int, int]]] = {}
    for claim in claims:
        for span in find_text(claim.text, text):
            for number in claim.facts:
                spans.setdefault(number, []).append(span)
    return spans


def sentences_of(text: str) -> list[tuple[int, int]]:
    """Cut a text into sentences: at line breaks, and after a full stop before a space."""
    spans = []
    for found in _SENTENCE.finditer(text):
        lead = len(found.group()) - len(found.group().lstrip())
        start, end = found.start() + lead, found.start() + len(found.group().rstrip())
        if end > start:
            spans.append((start, end))
    return spans


def find_text(needle: str, text: str) -> list[tuple[int, int]]:
    """Find a claim in the text, whatever the white space between its words."""
    words = needle.split()
    if not words:
        return []
    pattern = r"\s+".join(map(re.escape, words))
    return [found.span() for found in re.finditer(rf"(?<!\w){pattern}(?!\w)", text)]


def _stands_in(value: str, sentence: str) -> bool:
    if value not in sentence:
        return False
    return re.search(rf"(?<!\w){re.escape(value)}(?!\w)", sentence) is not None
