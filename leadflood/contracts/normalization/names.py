"""Names of people: their parts, read off a whole name; what is nobody's name.

A whole name stays as it is. Its parts are read where its script and order are sure enough, and
left out where they are not: a wrong first name is worse than none.
"""

import re
import unicodedata
from functools import lru_cache

import msgspec
from nameparser import AmbiguityKind, Lexicon, Parser, PatronymicRule, Policy

from leadflood.contracts.normalization.companies import has_legal_form
from leadflood.contracts.normalization.text import clean_text, name_key
from leadflood.contracts.word_files import read_tables

_WORDS = read_tables("names.toml")
_TITLES = frozenset(
    word
    for name, words in _WORDS["titles"].items()
    if name not in {"ambiguous", "dotted"}
    for word in words.split()
)
_SALUTATIONS = frozenset(_WORDS["titles"]["salutations"].split())
_DOTTED_TITLES = frozenset(_WORDS["titles"]["dotted"].split())
_RUSSIAN = tuple(_WORDS["russian_surnames"]["endings"].split())
_DEGREES = frozenset(_WORDS["titles"]["address"].split())
_AMBIGUOUS_TITLES = frozenset(_WORDS["titles"]["ambiguous"].split())
VOWELS = frozenset(_WORDS["letters"]["vowels"])
PARTICLES = frozenset(_WORDS["particles"]["words"].split())
_NOT_NAMES = frozenset(_WORDS["not_names"]["words"].split())
_COMPANY_WORDS = frozenset(_WORDS["company_words"]["words"].split())
_VIETNAMESE = frozenset(_WORDS["family_first"]["vietnamese"].split())
_VIETNAMESE_MIDDLE = frozenset(_WORDS["family_first"]["vietnamese_middle"].split())
_KOREAN = frozenset(_WORDS["family_first"]["korean"].split())
NICKNAMES: dict[str, tuple[str, ...]] = {
    short: tuple(full.split())
    for short, _, full in (
        line.partition(": ") for line in _WORDS["nicknames"]["words"].split("\n")
    )
    if short
}
"""Given names by their short forms, folded."""


def are_nicknames(name: str, other: str) -> bool:
    """Whether one of two folded names is a short form of the other."""
    return other in NICKNAMES.get(name, ()) or name in NICKNAMES.get(other, ())


_SPANISH = frozenset(_WORDS["spanish_surnames"]["words"].split())
_SPECIAL = (_TITLES - _AMBIGUOUS_TITLES) | PARTICLES | _NOT_NAMES | _COMPANY_WORDS
_POLICY = Policy(patronymic_rules=frozenset({PatronymicRule.EAST_SLAVIC}))
_PARSER = Parser(lexicon=Lexicon.default(), policy=_POLICY)
"""Built when the program starts (50 ms): reading its words later would hold up the event loop."""

_MOST_CHARS = 120
_NO_SIGNS = frozenset("@/\\<>{}=_#*&+;:!?|$%^~")
_PLAIN_WORD = r"([^\W\d_]{2,}(?:[-'\u2019][^\W\d_]{2,})*)"
_PLAIN_PAIR = re.compile(f"{_PLAIN_WORD} {_PLAIN_WORD}")
_LAST_LATIN = "\u024f"
_IN_BRACKETS = re.compile(r"\s*[(\[][^)\]]*[)\]]")
_TAIL = re.compile(r"\s+[|\u2013\u2014/\u00b7\u2022-]\s.*$|\s*[|\u00b7\u2022].*$")
_GLUED = re.compile(r"(?<=[^\W\d_]{2}\.)(?=[^\W\d_][^\W\d_])")
_SEPARATED_SCRIPTS = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "GEORGIAN")
_FAMILY_FIRST_SCRIPTS = ("CJK", "HIRAGANA", "HANGUL")
_PARTS_OF_SPANISH_NAME = 3
_LEAST_CAPITALS = 3
_LEAST_OF_SURNAME = 5


class PersonName(msgspec.Struct, frozen=True):
    """The parts of a name; None: not to be read off it."""

    first: str | None = None
    last: str | None = None


NOTHING = PersonName()


@lru_cache(maxsize=65_536)
def read_name(full: str) -> PersonName:
    """Read a whole name's first and last name; titles, suffixes and initials are no part of them.

    Names in scripts that write no spaces between their parts, or whose order is another, are left
    whole: a part is None. Source: `nameparser`, and `config/words/names.toml` for what it lacks.
    """
    text = clean_text(full)[:_MOST_CHARS]
    if (pair := _PLAIN_PAIR.fullmatch(text)) and _is_western_pair(pair[1], pair[2]):
        return PersonName(pair[1], pair[2])
    text = strip_titles(_TAIL.sub("", _IN_BRACKETS.sub("", text)))
    if not text or not is_name(text) or has_legal_form(text):
        return NOTHING
    words = text.split()
    scripts = _scripts_of(text)
    if not scripts <= set(_SEPARATED_SCRIPTS):
        return _read_family_first(words, scripts)
    if (name := _read_known_order(words)) is not None:
        return name
    return _parse(_with_family_after_comma(words))


def strip_titles(text: str) -> str:
    """Return a name without the salutations and titles before it (`Herr Prof. Dr. Ada Berg`)."""
    words = [word for part in text.split() for word in _unglue(part)]
    while words and _is_title(words[0], len(words) - 1):
        words = words[1:]
    return " ".join(words)


@lru_cache(maxsize=8192)
def whole_name(full: str) -> str:
    """Return a whole name as it is spoken: `Berg, Dr. Ada` and `Dr. Ada Berg, PhD` are Ada Berg."""
    text = strip_titles(_TAIL.sub("", _IN_BRACKETS.sub("", clean_text(full)[:_MOST_CHARS])))
    if "," not in text:
        return text
    parsed = _PARSER.parse(text)
    return " ".join(filter(None, (parsed.given, parsed.middle, parsed.family))) or text


def is_title(word: str) -> bool:
    """Whether a word is a salutation or a title (`Frau`, `Dr.`)."""
    return _title_key(word) in _TITLES


def is_salutation(text: str) -> bool:
    """Whether a text begins with a salutation (`Frau Berg`), or is no more than one (`Mr.`)."""
    return _title_key(text.split(maxsplit=1)[0]) in _SALUTATIONS if text.split() else False


def is_form_of_address(text: str) -> bool:
    """Whether a text is nothing but how somebody is addressed (`Mr.`, `Frau Dr.`), no job."""
    words = [_title_key(word) for word in text.split()]
    return bool(words) and all(word in _SALUTATIONS or word in _DEGREES for word in words)


def is_name(text: str) -> bool:
    """Whether a text can be a person's name: no number, address, department, company or filler."""
    words = [word.strip(".,;:()\"'\u2019\u201c\u201d") for word in text.casefold().split()]
    if not any(map(str.isalpha, text)) or any(sign.isdigit() or sign in _NO_SIGNS for sign in text):
        return False
    if text.casefold().strip(" .") in _NOT_NAMES or all(word in _NOT_NAMES for word in words):
        return False
    return not any(word in _COMPANY_WORDS for word in words)


def has_initials(text: str) -> bool:
    """Whether the script of a name abbreviates names to a letter: East Asian ones do not."""
    return _scripts_of(text) <= set(_SEPARATED_SCRIPTS)


def person_keys(name: str) -> tuple[str, ...]:
    """Return the folded forms of a name that are one name: `Müller` is `muller` and `mueller`."""
    plain = name_key(name)
    spelled = name_key(unicodedata.normalize("NFC", name).casefold().translate(_SPELLED_OUT))
    return (plain,) if plain == spelled else (plain, spelled)


_SPELLED_OUT = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa", "æ": "ae"})


def _unglue(word: str) -> list[str]:
    """Part a title from the name that stands right behind it: `Dr.Ada`."""
    parts = _GLUED.split(word, maxsplit=1)
    is_glued = len(parts) > 1 and is_title(parts[0]) and parts[1][0].isupper()
    return parts if is_glued else [word]


def _is_title(word: str, words_after: int) -> bool:
    key = _title_key(word)
    if key in _AMBIGUOUS_TITLES:
        return words_after > 1
    if key in _DOTTED_TITLES:
        return words_after > 0 and word.endswith(".")
    return key in _TITLES and words_after > 0


def _title_key(word: str) -> str:
    return word.casefold().strip(".,").removesuffix("'s")


def _scripts_of(text: str) -> set[str]:
    return {_script_of(sign) for sign in text if sign.isalpha()}


@lru_cache(maxsize=4096)
def _script_of(letter: str) -> str:
    return unicodedata.name(letter, "?").partition(" ")[0]


def _read_family_first(words: list[str], scripts: set[str]) -> PersonName:
    if len(words) == 2 and scripts <= set(_FAMILY_FIRST_SCRIPTS):  # noqa: PLR2004 - a name and a name
        return PersonName(None, words[0])
    return NOTHING


def _is_western_pair(first: str, last: str) -> bool:
    """Whether two plain words are a first and a last name, as most are: no closer look is due."""
    if max(first) > _LAST_LATIN or max(last) > _LAST_LATIN or first.isupper() != last.isupper():
        return False
    keys = (first.casefold(), last.casefold())
    is_korean = keys[0] in _KOREAN and "-" in keys[1]
    return not is_korean and _SPECIAL.isdisjoint(keys)


def _read_known_order(words: list[str]) -> PersonName | None:
    keys = [word.casefold() for word in words]
    if keys[0] in _VIETNAMESE and len(words) > 2 and keys[1] in _VIETNAMESE_MIDDLE:  # noqa: PLR2004
        return PersonName(words[-1], words[0])
    if keys[0] in _KOREAN and len(words) == 2 and "-" in keys[1]:  # noqa: PLR2004
        return PersonName(words[1], words[0])
    if len(words) == 2 and [_is_russian_surname(key) for key in keys] == [True, False]:  # noqa: PLR2004
        return PersonName(words[1], words[0])
    return None


def _is_russian_surname(key: str) -> bool:
    return len(key) >= _LEAST_OF_SURNAME and key.endswith(_RUSSIAN)


def _with_family_after_comma(words: list[str]) -> str | None:
    """Return the name with a comma behind a family name in capitals (`DE LA CRUZ María`).

    None: one word in capitals may be either name (`BERG Ada`, `ADA Berg`).
    """
    count = 0
    for word in words:
        if not word.isupper() or len(word.strip(".")) < 2 or word.endswith(","):  # noqa: PLR2004
            break
        count += 1
    if count == 0 or count == len(words) or "," in "".join(words):
        return " ".join(words)
    if count == 1:
        return None if len(words[0]) >= _LEAST_CAPITALS else " ".join(words)
    return f"{' '.join(words[:count])}, {' '.join(words[count:])}"


def _parse(text: str | None) -> PersonName:
    if text is None:
        return NOTHING
    parsed = _PARSER.parse(text)
    given, family = parsed.given, parsed.family
    kinds = {ambiguity.kind for ambiguity in parsed.ambiguities}
    is_unsure = AmbiguityKind.PARTICLE_OR_GIVEN in kinds and given.casefold() in PARTICLES
    if is_unsure or "&" in given or not family:
        return NOTHING
    if len(text.split()) == _PARTS_OF_SPANISH_NAME and parsed.middle.casefold() in _SPANISH:
        family = f"{parsed.middle} {family}"
    return PersonName(given if _is_whole(given) else None, family if _is_whole(family) else None)


def _is_whole(part: str) -> bool:
    """Whether a part is a name, not an initial (`J.`, `J.-C.`) and not empty."""
    return any(len(word) > 1 for word in re.findall(r"[^\W\d_]+", part)) and is_name(part)
