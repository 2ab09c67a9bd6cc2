"""Which leads are compared, and how likely two of them are one. Pure.

Leads are compared that share a block: a strong key, or what stands beside a name in a weak one
together with how the name sounds. A pair's score is the weight of what both have in common, times
how much their names are alike.
"""

import hashlib
from collections.abc import Iterable, Sequence
from functools import lru_cache

import msgspec
from rapidfuzz.distance import JaroWinkler
from rapidfuzz.fuzz import token_sort_ratio

from leadflood.domain.leads.schemas.identity import (
    NAMED,
    PARTS,
    ROW,
    IdentityKey,
    LeadIdentity,
)

MOST_BLOCKS = 24
MOST_PAIRS = 10
"""Of one lead, so many pairs are kept."""

_WEIGHTS = {
    "email": 0.75,
    "linkedin": 0.9,
    "linkedin_pub": 0.9,
    "linkedin_member": 0.9,
    "company": 0.6,
    "organisation": 0.6,
    "name_domain": 0.55,
    "name_company": 0.5,
    "name_phone": 0.75,
    "name_mailbox": 0.5,
    "part_domain": 0.45,
    "part_company": 0.45,
}
_OTHER_WEIGHT = 0.5
_EXTERNAL_WEIGHT = 0.9
_COMPANY_WEIGHT = 0.45
_WORDS = {
    "email": "address",
    "linkedin": "profile",
    "linkedin_pub": "profile",
    "linkedin_member": "profile",
    "company": "domain",
    "organisation": "place",
    "name_domain": "domain",
    "name_company": "company",
    "name_phone": "phone",
    "name_mailbox": "shared mailbox",
    "part_domain": "domain",
    "part_company": "company",
}
_TOLD_APART = 0.9
"""What a strong key that differs leaves of a score."""
_ALIKE = 0.75
_VOWELS = str.maketrans("", "", "aeiouyhw")
_UNCOMPARED = frozenset({"mailbox", ROW})
_CROWDED = frozenset({"name_domain", "name_company", "name_mailbox", *PARTS})
"""Kinds whose block needs the sound of the name: many people stand beside one domain."""


class Signature(msgspec.Struct, frozen=True, array_like=True):
    """A lead as it is compared: names and companies, folded, and what it is reached by."""

    names: tuple[str, ...]
    organisations: tuple[str, ...]
    companies: tuple[str, ...]
    strong: tuple[tuple[str, str], ...]
    beside: tuple[tuple[str, str], ...]


class Likeness(msgspec.Struct, frozen=True):
    """How likely two leads are one, and why."""

    score: float
    reasons: tuple[str, ...]


def sign(lead: LeadIdentity) -> Signature:
    """Return a lead's signature."""
    strong = [(key.kind, key.value) for key in lead.keys if key.is_strong]
    beside = [(key.kind, _beside(key)) for key in lead.keys if not key.is_strong]
    return Signature(
        names=lead.names,
        organisations=lead.organisations,
        companies=lead.companies,
        strong=tuple(strong),
        beside=tuple(dict.fromkeys(pair for pair in beside if pair[0] not in _UNCOMPARED)),
    )


def list_blocks(signature: Signature) -> list[int]:
    """Return the blocks of a lead, as numbers.

    What is stored of a signature that stays the same is not written again: another rule here needs
    a migration that empties `duplicate_signature` and `duplicate_block`.
    """
    sounds = sorted({sound_of(word) for name in signature.names for word in _ends(name)})
    texts = [f"{kind}|{value}" for kind, value in signature.strong if ":" not in kind]
    texts += [f"{kind}|{value}" for kind, value in signature.strong if kind.startswith("external:")]
    for kind, value in signature.beside:
        if kind in _CROWDED:
            texts += [f"{kind}|{value}|{sound}" for sound in sounds]
        else:
            texts.append(f"{kind}|{value}")
    texts += [f"at|{company}|{sound}" for company in signature.companies for sound in sounds]
    texts += [f"organisation|{name}" for name in signature.organisations]
    return [_number(text) for text in dict.fromkeys(texts[:MOST_BLOCKS])]


def compare(left: Signature, right: Signature) -> Likeness:
    """Return how likely two leads are one."""
    likeness = _compare_names(left, right)
    doubt, reasons = 1.0, [_name_reason(likeness)]
    for kind, value in sorted({*left.strong, *left.beside} & {*right.strong, *right.beside}):
        doubt *= 1.0 - _weight(kind)
        reasons.append(f"same {_word(kind)} {value}")
    if set(left.companies) & set(right.companies):
        doubt *= 1.0 - _COMPANY_WEIGHT
        reasons.append("same company")
    score = (1.0 - doubt) * (likeness if likeness >= _ALIKE else likeness * likeness)
    for kind in _kinds_apart(left, right):
        score *= _TOLD_APART
        reasons.append(f"other {_word(kind)}")
    return Likeness(round(min(score, 1.0), 4), tuple(dict.fromkeys(reasons)))


@lru_cache(maxsize=65536)
def sound_of(word: str) -> str:
    """Return a word as it roughly sounds: its first letter and the consonants behind it."""
    tail = word[1:].translate(_VOWELS).replace("ck", "k").replace("c", "k").replace("z", "s")
    letters = [letter for place, letter in enumerate(tail) if letter != tail[place - 1 : place]]
    return word[:1] + "".join(letters)[:3]


def _beside(key: IdentityKey) -> str:
    """Return what stands beside the name in a weak key."""
    return key.value.partition("|")[2] if "|" in key.value else key.value


def _ends(name: str) -> Iterable[str]:
    words = name.split()
    return words if len(words) < 3 else (words[0], words[-1])  # noqa: PLR2004 - first and last


def _number(text: str) -> int:
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def _weight(kind: str) -> float:
    if kind.startswith(("external:", "provider:")):
        return _EXTERNAL_WEIGHT
    return _WEIGHTS.get(kind, _OTHER_WEIGHT)


def _word(kind: str) -> str:
    if kind.startswith(("external:", "provider:")):
        return f"id at {kind.partition(':')[2]}"
    return _WORDS.get(kind, kind.removeprefix(NAMED))


def _kinds_apart(left: Signature, right: Signature) -> Sequence[str]:
    kinds = {kind for kind, _ in left.strong} & {kind for kind, _ in right.strong}
    shared = {kind for kind, _ in {*left.strong} & {*right.strong}}
    return sorted(kinds - shared)


def _compare_names(left: Signature, right: Signature) -> float:
    ones, others = left.names or left.organisations, right.names or right.organisations
    if not ones or not others:
        return 0.8
    return max(_compare_words(one, other) for one in ones for other in others)


@lru_cache(maxsize=65536)
def _compare_words(left: str, right: str) -> float:
    one, other = left.split(), right.split()
    if len(one) == 1 or len(other) == 1:
        return max(JaroWinkler.similarity(a, b) for a in one for b in other)
    straight = _mean((one[0], other[0]), (one[-1], other[-1]))
    crossed = _mean((one[0], other[-1]), (one[-1], other[0]))
    return max(straight, crossed, token_sort_ratio(left, right) / 100)


def _mean(*pairs: tuple[str, str]) -> float:
    return sum(_compare_word(one, other) for one, other in pairs) / len(pairs)


def _compare_word(one: str, other: str) -> float:
    if 1 in {len(one), len(other)} and one[0] == other[0]:
        return 0.9
    return float(JaroWinkler.similarity(one, other))


def _name_reason(likeness: float) -> str:
    if likeness == 1.0:
        return "same name"
    return "names alike" if likeness >= _ALIKE else "other name"
