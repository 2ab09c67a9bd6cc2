"""Title words: a job title as the roles it names, in English, each with what its head is.

`PA to the Managing Director` names one role, an assistant's; `CEO & Founder` names two.
Source: `config/words/titles.toml`.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

import msgspec

from leadflood.contracts.normalization.text import name_key
from leadflood.contracts.word_files import read_tables

_TABLES = read_tables("titles.toml")
_SMALL: dict[str, frozenset[str]] = {
    name: frozenset(words) for name, words in _TABLES["small"].items()
}
_ASSISTING = frozenset({"personal assistant", "secretary"})
_ADJECTIVES = frozenset({"assistant", "associate", "deputy"})
DIMINISHING = frozenset({*_ASSISTING, *_ADJECTIVES, "clerk", "intern", "junior"})
"""Words that make a role less than the one beside them."""
_FORMER = "former"
_WHOLE = frozenset(
    {
        "account executive",
        "board member",
        "business partner",
        "chief of staff",
        "company secretary",
        "personal assistant",
        "product owner",
        "vice president",
    }
)
"""Phrases that are no kind of their last word: a vice president is no president."""
_MOST_CHARS = 200

_GENDERS = re.compile(
    r"\((?:in|innen|a|e|m|w|f|d|h|x|[mwfdhx](?:\s*[/|,*]\s*[mwfdhx])+)\)|[*:_\u00b7]\s?in(?:nen)?\b"
    r"|/-?(?:in|innen|a|e|rice|euse|trice)\b|\b[mwfdhx](?:/[mwfdhx]){1,3}\b"
)
_ACRONYM = re.compile(r"\b(?:[^\W\d_]\.){2,}(?:[^\W\d_]\b)?")
_LETTERS = re.compile(r"\b[^\W\d_](?: [^\W\d_]){2,}\b")
_POSSESSIVE = re.compile(r"[^\W\d_]+['\u2019]s?\s(?=\S)")
_TOKEN = re.compile(r"[^\W_]+|[&+/|,;:()\u2013\u2014\u30fb\u3001\u00b7\u2022]|(?<=\s)-(?=\s)")
_AND = frozenset("&+")
_EAST_ASIAN = re.compile(r"[\u0e00-\u0e7f\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")


class Role(msgspec.Struct, frozen=True):
    """One role of a title: the phrases of its head, and those behind an `of`."""

    head: tuple[str, ...]
    rest: tuple[str, ...] = ()

    @property
    def words(self) -> frozenset[str]:
        """The words it is compared by; the rank of whom it works for is none of them."""
        phrases = (*self.head, *(phrase for phrase in self.rest if phrase not in LEVELS))
        return frozenset(word for phrase in phrases for word in _words_of(phrase))


LEVELS: dict[str, str] = {
    phrase: level for level, phrases in _TABLES["levels"].items() for phrase in phrases
}
"""The level of each English phrase that says one."""


@lru_cache(maxsize=50_000)
def roles_of(title: str) -> tuple[Role, ...]:
    """Return the roles that a title says somebody has; what they were once is none."""
    roles: list[Role] = []
    for phrases, is_listed in _parts_of(_translate(_tokens_of(title[:_MOST_CHARS]))):
        if _FORMER in phrases:
            del roles[len(roles) - (phrases == [_FORMER]) :]  # CEO (retired)
            continue
        role = _role_of(phrases)
        if roles and is_listed and is_assisting(roles[-1]):
            continue  # Assistant, CEO's office
        if roles and not _has_level(role) and is_listed:
            roles[-1] = Role(roles[-1].head, (*roles[-1].rest, *role.head, *role.rest))
        else:
            roles.append(role)
    return tuple(role for role in roles if role.head or role.rest)


def is_assisting(role: Role) -> bool:
    """Whether a role is to assist somebody, whoever that is."""
    head = role.head
    is_assistant = "assistant" in head and not any(
        phrase in LEVELS for phrase in head[head.index("assistant") + 1 :]
    )
    return is_assistant or not _ASSISTING.isdisjoint(head)


def is_lowered(role: Role) -> bool:
    """Whether a role is the one below the level it names (`Deputy Director`)."""
    return not _ADJECTIVES.isdisjoint(role.head)


def _has_level(role: Role) -> bool:
    return any(phrase in LEVELS for phrase in role.head)


def _tokens_of(title: str) -> list[str]:
    text = _POSSESSIVE.sub(" ", _GENDERS.sub(" ", title.lower()))  # the CEO's driver
    text = _ACRONYM.sub(lambda match: match.group().replace(".", ""), text)
    text = _LETTERS.sub(lambda match: match.group().replace(" ", ""), text)
    return [name_key(token) or token for token in _TOKEN.findall(text)]


def _parts_of(tokens: list[str]) -> Iterator[tuple[list[str], bool]]:
    """Yield the phrases between separators, and whether a comma or the like stands before them.

    What stands behind a `to` is for whom somebody works: it ends the title.
    """
    part: list[str] = []
    is_listed = False
    for token in tokens:
        if token in _SMALL["to"]:
            break
        is_and = token in _AND or token in _SMALL["and"]
        if is_and or not token[0].isalnum():
            if part:
                yield part, is_listed
                is_listed = False
            part, is_listed = [], is_listed or not is_and
        elif token not in _SMALL["dropped"] or token in _SMALL["of"]:
            part.append(token)
    if part:
        yield part, is_listed


def _role_of(phrases: list[str]) -> Role:
    place = next((i for i, phrase in enumerate(phrases) if phrase in _SMALL["of"]), len(phrases))
    rest = tuple(phrase for phrase in phrases[place:] if phrase not in _SMALL["of"])
    head = tuple(phrases[:place])
    if any(phrase in {"partner", "owner"} for phrase in head):
        head = tuple(_without_modifiers(head))
    return Role(head, rest)


def _without_modifiers(head: tuple[str, ...]) -> Iterator[str]:
    """Yield a head without the partners and owners that somebody is the manager of."""
    for index, phrase in enumerate(head):
        is_modifier = phrase in {"partner", "owner"} and any(
            LEVELS.get(later) in {"manager", "director", "head"} for later in head[index + 1 :]
        )
        if not is_modifier:
            yield phrase


def _words_of(phrase: str) -> list[str]:
    return [phrase.replace(" ", "_")] if phrase in _WHOLE else phrase.split()


def _phrases_of(tables: dict[str, list[str]]) -> dict[tuple[str, ...], str]:
    return {
        tuple(name_key(said).split()): english
        for english, sayings in tables.items()
        for said in (english.replace(" + ", " "), *sayings)
    }


_PHRASES = _phrases_of(_TABLES["translations"])
_LONGEST = max(map(len, _PHRASES))
_FIRST_WORDS = frozenset(phrase[0] for phrase in _PHRASES)
_EAST_ASIA = sorted(
    (
        (name_key(said), english)
        for english, sayings in _TABLES["east_asia"].items()
        for said in sayings
    ),
    key=lambda pair: -len(pair[0]),
)
_ENDINGS = [tuple(pair.split("=")) for pair in _TABLES["compounds"]["endings"]]
_PREFIXES = dict(pair.split("=") for pair in _TABLES["compounds"]["prefixes"])


def _translate(tokens: list[str]) -> list[str]:
    """Return English phrases for the words of a title, the longest first; other words stay."""
    phrases: list[str] = []
    index = 0
    while index < len(tokens):
        token = tokens[index]
        length = _match_at(tokens, index) if token in _FIRST_WORDS else 0
        if length:
            phrases.extend(_PHRASES[tuple(tokens[index : index + length])].split(" + "))
        else:
            phrases.extend(_translate_word(token))
        index += length or 1
    return phrases


def _match_at(tokens: list[str], index: int) -> int:
    """Return how many tokens the longest phrase at a place has; 0: there is none."""
    lengths = range(min(_LONGEST, len(tokens) - index), 0, -1)
    return next((n for n in lengths if tuple(tokens[index : index + n]) in _PHRASES), 0)


@lru_cache(maxsize=16_384)
def _translate_word(word: str) -> tuple[str, ...]:
    if _EAST_ASIAN.search(word):
        return _translate_east_asian(word)
    if word.endswith("in") and (word[:-2],) in _PHRASES:
        return (_PHRASES[word[:-2],],)
    for ending, english in _ENDINGS:
        stem = word.removesuffix(ending).removesuffix("s") if word.endswith(ending) else ""
        if len(stem) > 1:
            return english, _PREFIXES.get(stem) or _PHRASES.get((stem,)) or _PHRASES.get(
                (f"{stem}s",), stem
            )
    return (word,)


def _translate_east_asian(word: str) -> tuple[str, ...]:
    """Return what a word without spaces says, in its order."""
    found: list[tuple[int, str]] = []
    rest = word
    for said, english in _EAST_ASIA:
        place = rest.find(said)
        if place >= 0:
            found.append((place, english))
            rest = rest.replace(said, " " * len(said))
    return tuple(english for _, english in sorted(found)) or (word,)
