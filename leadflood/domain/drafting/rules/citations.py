"""Citations: which sentence of a text claims which facts, and where (in characters)."""

import re
from collections.abc import Sequence

from leadflood.contracts.ports.text import Claim, NumberedFact

_SENTENCE = re.compile(
    r"[^\n.!?]*(?:(?:[.!?]+(?=\S)|(?<=\b[MD]r)\.|(?<=\bMs)\.|(?<=\bMrs)\.)[^\n.!?]*)*[.!?]*"
)


def find_claims(text: str, facts: Sequence[NumberedFact]) -> tuple[Claim, ...]:
    """Return the sentences of a rendered template that carry facts, and which."""
    claims = []
    for start, end in find_sentences(text):
        sentence = text[start:end]
        cited = tuple(fact.number for fact in facts if _contains(fact.text, sentence))
        if cited:
            claims.append(Claim(sentence, cited))
    return tuple(claims)


def find_spans(text: str, claims: Sequence[Claim]) -> dict[int, list[tuple[int, int]]]:
    """Return for each fact number where in the text it is claimed (start, end)."""
    spans: dict[int, list[tuple[int, int]]] = {}
    for claim in claims:
        for span in find_text(claim.text, text):
            for number in claim.facts:
                spans.setdefault(number, []).append(span)
    return spans


def find_sentences(text: str) -> list[tuple[int, int]]:
    """Return the sentences of a text: cut at line breaks and after a full stop before a space."""
    spans = []
    for match in _SENTENCE.finditer(text):
        indent = len(match.group()) - len(match.group().lstrip())
        start, end = match.start() + indent, match.start() + len(match.group().rstrip())
        if end > start:
            spans.append((start, end))
    return spans


def find_text(needle: str, text: str) -> list[tuple[int, int]]:
    """Return where a claim stands in a text, whatever the white space between its words."""
    words = needle.split()
    if not words:
        return []
    pattern = r"\s+".join(map(re.escape, words))
    return [match.span() for match in re.finditer(rf"(?<!\w){pattern}(?!\w)", text)]


def _contains(value: str, sentence: str) -> bool:
    if value not in sentence:
        return False
    return re.search(rf"(?<!\w){re.escape(value)}(?!\w)", sentence) is not None
