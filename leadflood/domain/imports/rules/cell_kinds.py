"""Cell kinds: what the cells of a column look like, whatever its header says."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from leadflood.contracts.normalization.cells import read_cell
from leadflood.contracts.normalization.domains import company_domain
from leadflood.contracts.normalization.emails import normalize_email
from leadflood.contracts.normalization.text import clean_text
from leadflood.contracts.values import FieldName
from leadflood.domain.imports.rules.column_words import SALUTATIONS, header_key
from leadflood.domain.imports.schemas.columns import CellKind

SHARE = 0.6
"""The part of a column's filled cells that decides what it holds."""
_MAX_CHARS = 400
_MOST_COUNTRY_CHARS = 60
_ADDRESS = re.compile(r"[^\s<>()\[\],;:\"'|]+@[^\s<>()\[\],;:\"'|]+")
_PERSON_PAGE = re.compile(
    r"linkedin\.com/(?:[a-z]{2}/)?(?:in|pub|sales/(?:lead|people))/", re.IGNORECASE
)
_COMPANY_PAGE = re.compile(
    r"linkedin\.com/(?:[a-z]{2}/)?(?:company|school|showcase)/", re.IGNORECASE
)
_HOST = re.compile(r"^[^\s/@:]+\.[^\s/@:.\d][^\s/@:.]+(?::\d+)?(?:/\S*)?$")
_DATE = re.compile(
    r"^(?:\d{4}[-./年]\s?\d{1,2}[-./月]\s?\d{1,2}日?|\d{1,2}[-./]\d{1,2}[-./](?:\d{4}|\d{2})"
    r"|\d{1,2}\.? [^\W\d_]{3,10}\.?,? \d{4}|[^\W\d_]{3,10} \d{1,2},? \d{4})"
    r"(?:[T ,]\s?\d{1,2}:\d{2}\S*(?: [AP]M)?)?$",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"^[^\w\s]?\s?[+-]?\d+(?:[., '\u2019\u00a0\u202f]\d+)*\s?[%€$£¥]?$")
_PHONE = re.compile(
    r"^(?:tel\.?:?\s*)?(?P<start>\+|00|\(?0|\(|)[\d\s().\-/\u2013]{5,24}\d"
    r"(?:\s*(?:x|ext\.?|durchwahl|#)\s*\d{1,6})?$",
    re.IGNORECASE,
)
_PHONE_DIGITS = range(7, 16)
_NAME = re.compile(r"^[^\W\d_][^\W\d_'\u2019.\-]*(?:,? [^\W\d_][^\W\d_'\u2019.\-]*){1,3}$")
_CJK_NAME = re.compile(
    r"^[\u4e00-\u9fff\uac00-\ud7a3]{1,3}[\s\u3000]?[\u4e00-\u9fff\u3040-\u30ff\uac00-\ud7a3]{1,4}$"
)


_TYPED = frozenset(
    {
        CellKind.EMAIL,
        CellKind.PROFILE,
        CellKind.COMPANY_PAGE,
        CellKind.URL,
        CellKind.PHONE,
        CellKind.DATE,
        CellKind.NUMBER,
    }
)


def kind_of_column(cells: Iterable[str]) -> CellKind | None:
    """Return what at least 60 % of the filled cells look like; None: of nothing so many."""
    counts: Counter[CellKind | None] = Counter(
        kind_of_cell(cell) for cell in cells if is_filled(cell)
    )
    if not counts:
        return None
    kind, count = counts.most_common(1)[0]
    return kind if kind is not None and count >= SHARE * counts.total() else None


def share_of(kind: CellKind, cells: Sequence[str]) -> float:
    """Return the part of the filled cells that look so."""
    kinds = [kind_of_cell(cell) for cell in cells if is_filled(cell)]
    return kinds.count(kind) / len(kinds) if kinds else 0.0


def is_filled(cell: str) -> bool:
    """Whether a cell holds more than blanks, marks and words for nothing."""
    return (
        any(char.isalnum() for char in cell) and read_cell(FieldName.CITY, cell).value is not None
    )


def kind_of_cell(cell: str) -> CellKind | None:
    """Return what a cell looks like; None: like none of these."""
    text = clean_text(cell[:_MAX_CHARS])
    return _kind_of_address(text) or _kind_of_text(text)


def is_typed(cell: str) -> bool:
    """Whether a cell is a value that no header is: an address, a page, a date, a number."""
    return kind_of_cell(cell) in _TYPED


def _kind_of_address(text: str) -> CellKind | None:
    if "@" in text:
        addresses = _ADDRESS.findall(text)
        has_address = any(normalize_email(address.strip(".")) for address in addresses)
        return CellKind.EMAIL if has_address else None
    if _PERSON_PAGE.search(text):
        return CellKind.PROFILE
    if _COMPANY_PAGE.search(text):
        return CellKind.COMPANY_PAGE
    if "." in text and (text.startswith(("http://", "https://")) or _HOST.match(text)):
        return CellKind.URL if company_domain(text) is not None else None
    return None


def _kind_of_text(text: str) -> CellKind | None:
    return next((kind for kind, has_shape in _SHAPES if has_shape(text)), None)


def _is_phone(text: str) -> bool:
    """Whether digits are parted, or begin, as those of a phone number do."""
    match = _PHONE.match(text)
    if match is None or sum(char.isdigit() for char in text) not in _PHONE_DIGITS:
        return False
    return bool(match["start"]) or sum(char in " -/()" for char in text.strip()) > 1


def _is_country(text: str) -> bool:
    if len(text) > _MOST_COUNTRY_CHARS or (len(text) <= len("DEU") and not text.isupper()):
        return False
    return not text.isdigit() and read_cell(FieldName.COUNTRY, text).value is not None


def _is_name(text: str) -> bool:
    is_written_as_one = _NAME.match(text) is not None and not text.islower()
    return is_written_as_one or _CJK_NAME.match(text) is not None


_SHAPES: tuple[tuple[CellKind, Callable[[str], object]], ...] = (
    (CellKind.DATE, _DATE.match),
    (CellKind.PHONE, _is_phone),
    (CellKind.NUMBER, _NUMBER.match),
    (CellKind.SALUTATION, lambda text: header_key(text) in SALUTATIONS),
    (CellKind.COUNTRY, _is_country),
    (CellKind.NAME, _is_name),
)
