"""Old encodings: which of them gives bytes that are no UTF-8 the words of some language.

A short file decides as well as a long one: each word counts for an encoding in which all its
letters belong to one language, written as words are.
"""

import itertools
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from leadflood.contracts.word_files import read_tables

_MAX_WORDS = 400
_PUNCTUATION = (
    "\u2018\u2019\u201a\u201c\u201d\u201e\u2013\u2014\u2026\u2022\u2122"
    "\xa0\xa9\xab\xae\xb0\xb4\xb7\xbb€£§"
)
_SOME = 0.5
"""What a word counts that only typographic signs make special."""
_WORD = re.compile(r"[^\s,;|\"'()<>@/.:_+\-\d]*[^\x00-\x7f][^\s,;|\"'()<>@/.:_+\-\d]*")
_DOMAIN = re.compile(rb"\.([a-z]{2,3})(?![a-z0-9.-])")


class _Language(msgspec.Struct, frozen=True, kw_only=True):
    """A language as an encoding writes it.

    - `domains`: where it is spoken.
    - `letters`, `common`: its letters beyond ASCII, and the most frequent ones; empty: any.
    - `script`: East Asian, the characters of its words, and `leads` the first bytes of common ones.
    - `rare`: it tells only where one of its domains is in the file.
    """

    codec: str
    domains: frozenset[bytes]
    letters: frozenset[str] = frozenset()
    common: frozenset[str] = frozenset()
    script: re.Pattern[str] | None = None
    leads: tuple[int, int] = (0, 0)
    rare: bool = False


def _read_languages() -> tuple[_Language, ...]:
    tables: dict[str, Any] = read_tables("encodings.toml")
    return tuple(_read_language(table) for table in (*tables["language"], *tables["script"]))


def _read_language(table: dict[str, Any]) -> _Language:
    letters, common, ranges = (table.get(name, "") for name in ("letters", "common", "ranges"))
    return _Language(
        codec=table["codec"],
        domains=frozenset(domain.encode() for domain in table["domains"]),
        letters=frozenset(letters + letters.upper()),
        common=frozenset(common + common.upper()),
        script=re.compile(f"[{ranges}]+") if ranges else None,
        leads=tuple(table.get("leads", (0, 0))),
        rare=table.get("rare", False),
    )


_LANGUAGES = _read_languages()
_CODECS = tuple(dict.fromkeys(language.codec for language in _LANGUAGES))


class _Rank(msgspec.Struct, frozen=True, order=True):
    """How well an encoding reads a file.

    - `words`, `words_of_one`: the part of the words that belong to some, and to one language.
    - `of_domain`: whether a domain of that language is in the file.
    - `common`: the part of its letters that are frequent in it.
    """

    words: float
    words_of_one: float
    of_domain: bool
    common: float


def guess_old_encoding(lines: Sequence[bytes]) -> str:
    """Return the encoding that makes most words of lines that are no UTF-8."""
    domains = {match for line in lines for match in _DOMAIN.findall(line.lower())}
    ranks = {codec: _rank(codec, lines, domains) for codec in _CODECS}
    best = max(ranks.values())
    return next(codec for codec in _CODECS if ranks[codec] == best) if best.words else "cp1252"


def _rank(codec: str, lines: Sequence[bytes], domains: set[bytes]) -> _Rank:
    languages = [
        language
        for language in _LANGUAGES
        if language.codec == codec and (not language.rare or language.domains & domains)
    ]
    words = _list_words(codec, lines)
    scores = [[_score(word, language) for word in words] for language in languages]
    best = max(
        range(len(languages)),
        key=lambda at: (sum(scores[at]), bool(languages[at].domains & domains)),
    )
    return _Rank(
        words=round(sum(map(max, zip(*scores, strict=True))) / len(words), 3),
        words_of_one=round(sum(scores[best]) / len(words), 3),
        of_domain=bool(languages[best].domains & domains),
        common=_share_of_common("".join(words), languages[best]),
    )


def _share_of_common(text: str, language: _Language) -> float:
    special = [sign for sign in text if not sign.isascii()]
    if language.script is not None:
        first, last = language.leads
        count = sum(first <= sign.encode(language.codec, "replace")[0] <= last for sign in special)
    elif language.common:
        count = sum(sign in language.common for sign in special)
    else:
        return 1.0
    return round(count / len(special), 3)


def _list_words(codec: str, lines: Sequence[bytes]) -> list[str]:
    words: dict[str, None] = {}
    for line in lines:
        try:
            text = line.decode(codec)
        except UnicodeDecodeError:
            words[f"\ufffd{len(words)}"] = None
            continue
        words.update(dict.fromkeys(_WORD.findall(text)))
        if len(words) > _MAX_WORDS:
            break
    return list(words)


def _score(word: str, language: _Language) -> float:
    core = word.strip(_PUNCTUATION)
    if core.isascii() or len(core) == 1:
        return _SOME
    if language.script is not None:
        return float(_is_of_script(core, language.script))
    parts = core.replace("\u2019", "'").split("'")
    return float(all(part.isascii() or _is_word(part, language.letters) for part in parts))


def _is_of_script(word: str, script: re.Pattern[str]) -> bool:
    runs = script.findall(word)
    others = script.sub("", word)
    if not runs or not others.isascii():
        return False
    return not others or min(map(len, runs)) > 1


def _is_word(part: str, letters: frozenset[str]) -> bool:
    special = [sign for sign in part if not sign.isascii()]
    if not letters.issuperset(special):
        return False
    is_latin = special[0] < "\u0370"
    if is_latin and 2 * len(special) > len(part):
        return False
    if not is_latin and len(special) < len(part):
        return False
    return part.isupper() or not any(
        right.isupper() and not (left.isascii() and right.isascii())
        for left, right in itertools.pairwise(part)
    )
