"""Consent cells: what a cell of a consent column says. What is not understood is a no.

Source: `config/words/consent.toml`.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import Enum

import msgspec

from leadflood.contracts.normalization.consent_words import (
    TABLES,
    Phrases,
    flatten,
    fold_word,
    rate_email,
    words_of,
)
from leadflood.contracts.values import EmailStatus, OptOutChannel
from leadflood.domain.imports.rules.consent_columns import (
    ConsentColumn,
    channels_in,
    channels_of_cell,
)
from leadflood.domain.imports.rules.consent_parts import (
    ANSWERS_NO,
    ANSWERS_YES,
    GONE,
    STATUS_NOES,
    SURE_NOES,
    has_left,
    may_refuse,
)
from leadflood.domain.imports.schemas.column_fields import ColumnField
from leadflood.domain.imports.schemas.columns import NoOptIn

_CELLS, _STATUS = TABLES["cells"], TABLES["status"]
_YES, _NO = words_of(_CELLS["yes"]), words_of(_CELLS["no"])
_NOTHING = words_of(_CELLS["nothing"])
_UNTICKED, _NEVER_ASKED = words_of(_CELLS["unticked"]), words_of(_CELLS["never_asked"])
_WELCOME, _GRANTED = words_of(_CELLS["welcome"]), words_of(_CELLS["granted"])
_REFUSED = words_of(_CELLS["refused"])
_SAID_NO = words_of(_STATUS["said_no"]) | STATUS_NOES
_NEVER_MAIL = words_of(_STATUS["never_mail"])
_REFUSALS = _NO | _REFUSED | _SAID_NO | _NEVER_ASKED | ANSWERS_NO
_CONSENTS = _YES | _WELCOME | _GRANTED | ANSWERS_YES
_ANSWERS = _NO | _REFUSED | _YES | _WELCOME | ANSWERS_NO | ANSWERS_YES
_RATED = words_of((*_STATUS["bounced"], *_STATUS["catch_all"], *_STATUS["never_mail"]))
_OPT_OUTS = flatten(TABLES["headers"]["opt_out"])
_LACKING = words_of(TABLES["headers"]["opt_out_only"]["words"]) - STATUS_NOES
_VERDICTS = words_of(_STATUS["verdicts"])
_MOST = 0.6
_LONG = 10
"""A single word as long as this is no other word by chance."""
_PHRASES = Phrases(
    [
        phrase
        for phrase in (*_OPT_OUTS, *_STATUS["said_no"])
        if " " in phrase or len(phrase) >= _LONG or not phrase.isascii()
    ]
)
_WHOLE = (
    words_of(
        [*_CELLS["refusal"], *(phrase.removesuffix("*") for phrase in _OPT_OUTS if " " in phrase)]
    )
    | SURE_NOES
)
_POLITE = tuple(sorted(words_of(_CELLS["polite"]), key=len, reverse=True))
_FIRST_WORDS = frozenset(text.partition(" ")[0] for text in (*_WHOLE, *_POLITE))
_FIRST_WORD = re.compile(r"\W*(\w+)")
_PARTS = re.compile(r"[,;|/\n]+| [-\u2013\u2014]+ ")
_BESIDE = re.compile(
    r"[()\[\]{}<>|;,:/*#\n\uff08\uff09\u3010\u3011]+|\s[-\u2013\u2014]+\s?|\S+@\S+"
)
"""What stands between a value and a no beside it."""
_GONE = Phrases(SURE_NOES)
_STATUS_PHRASES = Phrases(["dnc", "robinson*", "gdpr delet*", "gdpr eras*", "gdpr remov*"])
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?:\D.*)?")
_DAY_FIRST = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4})(?:[ T]+(\d{1,2}):(\d{2})(?::\d{2})?)?")
_MOST_MONTHS = 12
_MAX_CHARS = 200


class Answer(Enum):
    """What a cell says; `unasked`: they have not agreed, and nobody has asked them."""

    NOTHING = "nothing"
    UNASKED = "unasked"
    YES = "yes"
    NO = "no"
    UNCLEAR = "unclear"


class CellReading(msgspec.Struct, frozen=True):
    """What a cell says of consent, and of which channels; empty: of none by name.

    - `is_of_address`: whether it is said of the address alone.
    - `at`: when it was said, where the cell is a date.
    """

    answer: Answer
    channels: frozenset[OptOutChannel] = frozenset()
    is_of_address: bool = False
    at: datetime | None = None


_NOTHING_SAID = CellReading(Answer.NOTHING)


def read_consent_cell(
    column: ConsentColumn, text: str, no_opt_in: NoOptIn | None = None
) -> CellReading:
    """Read a cell of a column of opt-outs, of opt-ins, or of a status.

    `no_opt_in`: what a no to an opt-in says; None: as the cell says it.
    """
    folded = fold_word(text[:_MAX_CHARS])
    match column.field:
        case ColumnField.OPT_OUT:
            return _read_opt_out(column, text, folded)
        case ColumnField.OPT_IN:
            if _is_unasked(column, folded, no_opt_in):
                return CellReading(Answer.UNASKED)
            return _read_opt_in(text, folded)
        case _:
            return _read_status(column, text, folded)


def _read_opt_out(column: ConsentColumn, text: str, folded: str) -> CellReading:
    if folded in _NOTHING or folded in _NO or folded in _WELCOME:
        return _NOTHING_SAID
    is_yes = folded in _YES or folded in _REFUSED or folded == fold_word(column.header)
    if is_yes or is_refusal(text) or _DATE.fullmatch(text.strip()):
        return CellReading(Answer.NO)
    channels = _read_channels(text)
    if channels is not None:
        return CellReading(Answer.NO, channels) if channels else _NOTHING_SAID
    is_clear = column.counts_when_filled or _PHRASES.stands_in(folded)
    return CellReading(Answer.NO if is_clear or folded in _SAID_NO else Answer.UNCLEAR)


def _is_unasked(column: ConsentColumn, folded: str, no_opt_in: NoOptIn | None) -> bool:
    match no_opt_in:
        case NoOptIn.REFUSED:
            return False
        case NoOptIn.NOT_ASKED:
            return folded in _NO | _NEVER_ASKED
        case _:
            return folded in _NEVER_ASKED or (column.is_box and folded in _UNTICKED)


def _read_opt_in(text: str, folded: str) -> CellReading:
    if folded in _NOTHING:
        return _NOTHING_SAID
    if folded in _REFUSALS or _PHRASES.stands_in(folded):
        return CellReading(Answer.NO)
    at, channels = read_moment(text), _read_channels(text)
    if folded in _CONSENTS or at is not None:
        return CellReading(Answer.YES, at=at)
    if channels is None:
        return CellReading(Answer.UNCLEAR)
    return CellReading(Answer.YES, channels) if channels else _NOTHING_SAID


def _read_status(column: ConsentColumn, text: str, folded: str) -> CellReading:
    """Read a status; words that say nothing of consent are left alone."""
    if folded in _YES:  # `Bounced: true`
        folded = text = fold_word(column.header)
    if folded in _WELCOME:
        return _NOTHING_SAID
    parts = [fold_word(part) for part in _PARTS.split(text[:_MAX_CHARS])]
    is_phrase = any(each.stands_in(folded) for each in (_PHRASES, _STATUS_PHRASES, GONE))
    is_verdict = column.field is ColumnField.EMAIL_STATUS and folded in _NEVER_MAIL
    is_said = is_phrase or _is_said(column, text, folded)
    is_no = not _SAID_NO.isdisjoint((folded, *parts)) or is_said
    if is_no and not is_verdict:
        return CellReading(Answer.NO, channels_in(folded))
    if not _NEVER_MAIL.isdisjoint((folded, *parts)):
        return CellReading(Answer.NO, frozenset({OptOutChannel.EMAIL}), is_of_address=True)
    return _NOTHING_SAID


def _is_said(column: ConsentColumn, text: str, folded: str) -> bool:
    """Whether the words of a status are a no; `no email` may be one that is not known."""
    if folded in _LACKING:
        return False
    is_of_contact = column.field is ColumnField.CONTACT_STATUS
    return has_left(text) or (is_of_contact and may_refuse(text))


def rate_status(column: ConsentColumn, text: str) -> EmailStatus | None:
    """Return what the status of a contact says of the address; never that it is valid."""
    if column.field is not ColumnField.CONTACT_STATUS:
        return None
    folded = fold_word(text[:_MAX_CHARS])
    word = fold_word(column.header) if folded in _YES else folded
    return rate_email(word) if word in _RATED else None


def are_verdicts(cells: Sequence[str]) -> bool:
    """Whether most of the cells of a column are a verifier's words, some of them no one else's."""
    words = [fold_word(cell[:_MAX_CHARS]) for cell in cells if not says_nothing(cell)]
    rated = [word for word in words if rate_email(word) is not None and word not in _SAID_NO]
    is_most = 0 < len(words) * _MOST <= len(rated)
    return is_most and not _VERDICTS.isdisjoint(rated)


def _read_channels(text: str) -> frozenset[OptOutChannel] | None:
    parts = [channels_of_cell(fold_word(part)) for part in _PARTS.split(text) if part.strip()]
    known = [part for part in parts if part is not None]
    if not parts or len(known) < len(parts):
        return None
    return frozenset[OptOutChannel]().union(*known)


def is_refusal(text: str) -> bool:
    """Whether a whole cell is a no, wherever it stands: `DO NOT CONTACT` as a first name."""
    first = _FIRST_WORD.match(text[:_MAX_CHARS])
    if first is None or fold_word(first[1]) not in _FIRST_WORDS:
        return False
    folded = fold_word(text[:_MAX_CHARS])
    for word in _POLITE:
        folded = folded.removeprefix(f"{word} ")
    return folded in _WHOLE


def names_the_gone(text: str) -> bool:
    """Whether a name says that its bearer is there no more: `Ada Low (deceased)`."""
    return _GONE.stands_in(fold_word(text[:_MAX_CHARS]))


def refuses_beside(text: str) -> bool:
    """Whether a no stands beside a value: in brackets, behind a dash, before an address."""
    return any(is_refusal(part) for part in _BESIDE.split(text[:_MAX_CHARS]) if part)


def is_said_no(text: str) -> bool:
    """Whether a whole cell is what a status calls a no; other things may be called so too."""
    return fold_word(text[:_MAX_CHARS]) in _SAID_NO


def is_answer(text: str) -> bool:
    """Whether a whole cell is a yes or a no."""
    return fold_word(text[:_MAX_CHARS]) in _ANSWERS


def says_nothing(text: str) -> bool:
    """Whether a whole cell is empty, or a word for that."""
    return fold_word(text[:_MAX_CHARS]) in _NOTHING


def mentions_refusal(text: str) -> bool:
    """Whether a no stands somewhere in a text."""
    return _PHRASES.may_stand_in(text) and _PHRASES.stands_in(fold_word(text))


def read_moment(text: str) -> datetime | None:
    """Read a date with or without its time, in UTC; None where it may be two days."""
    stripped = text.strip()
    try:
        moment = datetime.fromisoformat(stripped)
    except ValueError:
        return _read_day_first(stripped)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _read_day_first(text: str) -> datetime | None:
    match = _DAY_FIRST.fullmatch(text)
    if match is None:
        return None
    first, second = int(match[1]), int(match[3])
    day, month = (second, first) if second > _MOST_MONTHS else (first, second)
    is_two_days = match[2] != "." and first != second and max(first, second) <= _MOST_MONTHS
    try:
        return (
            None
            if is_two_days
            else datetime(
                int(match[4]), month, day, int(match[5] or 0), int(match[6] or 0), tzinfo=UTC
            )
        )
    except ValueError:
        return None
