"""Consent columns: which columns speak of consent, by their headers and by their cells.

A header that is not understood is never guessed at: the column is named, and a person says what it
means. Source: `config/words/consent.toml`.
"""

import re

import msgspec

from leadflood.contracts.normalization.consent_words import (
    TABLES,
    Phrases,
    flatten,
    fold_word,
    words_of,
)
from leadflood.contracts.values import OptOutChannel
from leadflood.domain.imports.rules.consent_parts import (
    Meaning,
    is_foreign_consent,
    is_plain,
    read_parts,
)
from leadflood.domain.imports.schemas.column_fields import ColumnField

_HEADERS = TABLES["headers"]
_OPT_OUT = Phrases((*flatten(_HEADERS["opt_out"]), *_HEADERS["opt_out_only"]["words"]))
_OPT_IN = Phrases(flatten(_HEADERS["opt_in"]))
_OPT_IN_AT = Phrases(_HEADERS["opt_in_at"]["words"])
_OPT_IN_AT_ALONE = Phrases(_HEADERS["opt_in_at"]["alone"])
_OPT_IN_WORDING = Phrases(_HEADERS["opt_in_wording"]["words"])
_FILLED = Phrases(_HEADERS["filled"]["words"])
_UNCLEAR = Phrases(_HEADERS["unclear"]["words"])
_BOTH = re.compile(r"\bopt ?in\b.*\b(?:opt ?)?out\b|\bopt ?out\b.*\b(?:opt ?)?in\b")
_BOX = Phrases(_HEADERS["box"]["words"])
_PERMISSION = Phrases(_HEADERS["permission"]["words"])
_NO_ANSWER = Phrases(_HEADERS["no_answer"]["words"])
_STATUS, _EMAIL_STATUS = (
    {word.replace(" ", "") for word in words_of(_HEADERS[name]["words"])}
    for name in ("contact_status", "email_status")
)
_CHANNELS = {word: name for name, words in TABLES["channels"].items() for word in words_of(words)}
_CHANNEL_WORDS = Phrases(_CHANNELS)
_FOREIGN = "foreign"
_AGREEMENTS = frozenset({ColumnField.OPT_IN, ColumnField.OPT_IN_AT, ColumnField.OPT_IN_WORDING})
_WORDS_OF_OPT_IN = frozenset(
    word
    for phrase in words_of(
        [
            *flatten(_HEADERS["opt_in"]),
            *_HEADERS["opt_in_at"]["words"],
            *_HEADERS["opt_in_at"]["alone"],
            *_HEADERS["opt_in_wording"]["words"],
            *_CHANNELS,
        ]
    )
    for word in phrase.rstrip("*").split()
)
_AND = re.compile(r"\b(?:and|und|et|y|e|en|i|och|og|ja|a|ve|и)\b")


class ConsentColumn(msgspec.Struct, frozen=True, kw_only=True):
    """A column that speaks of consent.

    - `index`: its place, from 0.
    - `header`: as it stands in the file.
    - `field`: what it means.
    - `channels`: what its header names; empty: none.
    - `counts_when_filled`: whether any text in it is a no: a reason, a date.
    - `is_box`: whether people tick it to agree; else it is what they permit.
    """

    index: int
    header: str
    field: ColumnField
    channels: frozenset[OptOutChannel]
    counts_when_filled: bool
    is_box: bool


def describe_column(index: int, header: str, field: ColumnField) -> ConsentColumn:
    """Return what is known of a column that means `field`."""
    folded = fold_word(header)
    return ConsentColumn(
        index=index,
        header=header,
        field=field,
        channels=channels_in(folded),
        counts_when_filled=field is ColumnField.OPT_OUT and _FILLED.stands_in(folded),
        is_box=_BOX.stands_in(folded) and not _PERMISSION.stands_in(folded),
    )


def channels_in(folded: str) -> frozenset[OptOutChannel]:
    """Return the channels that a text names."""
    names = {_CHANNELS[word] for word in _CHANNEL_WORDS.list_in(folded)} - {_FOREIGN}
    return frozenset(map(OptOutChannel, names))


def channels_of_cell(folded: str) -> frozenset[OptOutChannel] | None:
    """Return the channels that a cell lists; None when it says anything else too.

    Empty: only channels that nobody is written to by, such as fax.
    """
    words = (word.strip() for word in _AND.split(folded))
    names = {_CHANNELS.get(word) for word in words if word}
    if not names or None in names:
        return None
    return frozenset(OptOutChannel(name) for name in names if name and name != _FOREIGN)


def guess_consent_field(header: str) -> ColumnField | None:
    """Return what a header says of consent; None: nothing, or nothing clear."""
    folded = fold_word(header)
    if is_no_answer(header) or _BOTH.search(folded):
        return None
    if _OPT_OUT.stands_in(folded):
        return ColumnField.OPT_OUT
    is_opt_in = _OPT_IN.stands_in(folded) or _OPT_IN_AT_ALONE.stands_in(folded)
    field = _guess_opt_in(folded) if is_opt_in else _guess_by_parts(header, folded)
    is_doubtful = read_parts(header) is Meaning.OPT_OUT or not is_plain(header, _WORDS_OF_OPT_IN)
    return None if field in _AGREEMENTS and is_doubtful else field


def _guess_opt_in(folded: str) -> ColumnField:
    if _OPT_IN_AT_ALONE.stands_in(folded) or _OPT_IN_AT.stands_in(folded):
        return ColumnField.OPT_IN_AT
    is_wording = _OPT_IN_WORDING.stands_in(folded)
    return ColumnField.OPT_IN_WORDING if is_wording else ColumnField.OPT_IN


def _guess_by_parts(header: str, folded: str) -> ColumnField | None:
    if _UNCLEAR.stands_in(folded):
        return None
    match read_parts(header):
        case Meaning.OPT_OUT:
            return ColumnField.OPT_OUT
        case Meaning.OPT_IN:
            return ColumnField.OPT_IN
        case _:
            return None


def guess_status_field(header: str) -> ColumnField | None:
    """Return what a header says of a status: that of an address, or that of a contact."""
    folded = fold_word(header)
    compact = folded.replace(" ", "")
    if compact in _EMAIL_STATUS:
        return ColumnField.EMAIL_STATUS
    is_status = compact in _STATUS or folded.endswith(" status")
    return ColumnField.CONTACT_STATUS if is_status else None


def speaks_of_consent(header: str) -> bool:
    """Whether a header asks for an answer about consent, be it clear or not."""
    return touches_consent(header) and not is_no_answer(header)


def touches_consent(header: str) -> bool:
    """Whether a header has words of consent: its cells are no values, whatever they look like."""
    folded = fold_word(header)
    phrases = (_OPT_OUT, _OPT_IN, _UNCLEAR)
    return any(each.stands_in(folded) for each in phrases) or bool(_BOTH.search(folded))


def is_no_answer(header: str) -> bool:
    """Whether a header speaks of nothing that a letter is: a fax, a photo; or of no answer."""
    folded = fold_word(header)
    if _NO_ANSWER.stands_in(folded) or is_foreign_consent(header):
        return True
    return {_CHANNELS[word] for word in _CHANNEL_WORDS.list_in(folded)} == {_FOREIGN}
