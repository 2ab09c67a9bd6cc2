"""Rows: the cells of one person or company, each read beside its neighbors.

A neighbor decides what a cell alone leaves open: in which country a phone number is, whether
`Georgia` is a state, whether `Null` is a family name.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from leadflood.contracts.found_values import Scalar
from leadflood.contracts.normalization.cells import ReadCell, is_missing, read_cell
from leadflood.contracts.normalization.countries import ReadCountry, find_country, read_country
from leadflood.contracts.normalization.emails import read_emails, why_not_personal
from leadflood.contracts.normalization.no_values import is_no_value, may_be_name
from leadflood.contracts.normalization.phones import callable_number, is_mobile, region_of_number
from leadflood.contracts.normalization.profiles import normalize_company_linkedin
from leadflood.contracts.values import CountryCode, FieldName

Texts = Mapping[FieldName, Sequence[str]]
"""The cells of a row that are not empty, by field: several columns may be for one field."""

_OPEN_TLDS = frozenset(
    (
        *("ac", "ad", "ag", "ai", "am", "as", "bz", "cc", "cd", "cf", "co", "cx", "dj", "fm", "ga"),
        *("gg", "gl", "gq", "gs", "io", "is", "la", "lc", "li", "ly", "md", "me", "ml", "mn", "ms"),
        *("mu", "nu", "nf", "pw", "sc", "sh", "so", "st", "sx", "tk", "tl", "tm", "to", "tv", "vc"),
        *("vg", "vu", "ws"),
    )
)
"""Endings of domains that are sold to everybody: they tell no country."""
_NAMES = (FieldName.FIRST_NAME, FieldName.LAST_NAME)
_COUNTRIES = (FieldName.COUNTRY, FieldName.COMPANY_COUNTRY)
_PHONES = (FieldName.PHONE, FieldName.MOBILE_PHONE)
_WORDS = re.compile(r"[\s,]+")
_STATE_AND_CITY = 2


class ReadRow(msgspec.Struct, frozen=True):
    """What the cells of a row say.

    - `values`: the value of each field.
    - `others`: further values of a field, such as a second address.
    - `notes`: what was not understood or was changed, by field, in words.
    """

    values: dict[FieldName, Scalar]
    others: dict[FieldName, tuple[Scalar, ...]]
    notes: tuple[tuple[FieldName, str], ...]


def read_row(texts: Texts, region: str | None = None, currency: str | None = None) -> ReadRow:
    """Read the cells of a row; `region` is where phone numbers are if the row does not tell."""
    return _Row(texts, region, currency).read()


class _Row:
    """One row while it is read: the fields that others depend on first."""

    def __init__(self, texts: Texts, region: str | None, currency: str | None) -> None:
        self._texts = texts
        self._region = region
        self._currency = currency
        self._values: dict[FieldName, Scalar] = {}
        self._others: dict[FieldName, list[Scalar]] = {}
        self._notes: list[tuple[FieldName, str]] = []

    def read(self) -> ReadRow:
        for field in _COUNTRIES:
            if field in self._texts:
                self._read_country(field)
        region = self._find_region()
        for field in self._texts:
            if field not in _COUNTRIES:
                self._read_texts(field, region)
        self._use_mobile()
        self._values = {
            field: self._values[field]
            for field in (*self._texts, *self._values)
            if field in self._values
        }
        others = {field: tuple(dict.fromkeys(values)) for field, values in self._others.items()}
        return ReadRow(self._values, {k: v for k, v in others.items() if v}, tuple(self._notes))

    def _add(self, field: FieldName, cell: ReadCell) -> None:
        """Add what a cell says: of several cells the first that says something is the value."""
        if cell.note is not None:
            self._notes.append((field, cell.note))
        if cell.value is None:
            return
        current = self._values.get(field)
        if current is None:
            self._values[field] = cell.value
            further = cell.others
        elif field is FieldName.EMAIL or field in _PHONES:
            further = (cell.value, *cell.others)
            if _is_better(field, cell.value, current):
                self._values[field] = cell.value
                further = (current, *cell.others)
        else:
            return
        new = [value for value in further if value != self._values[field]]
        self._others.setdefault(field, []).extend(new)

    def _read_texts(self, field: FieldName, region: str | None) -> None:
        for text in self._texts[field]:
            page = normalize_company_linkedin(text) if field is FieldName.LINKEDIN_URL else None
            if page is None:
                self._add(field, self._read_cell(field, text, region))
            else:
                if FieldName.COMPANY_LINKEDIN_URL not in self._texts:
                    self._values[FieldName.COMPANY_LINKEDIN_URL] = page
                self._notes.append((field, f"{text[:60]!r} is a company's page, kept as that"))

    def _read_cell(self, field: FieldName, text: str, region: str | None) -> ReadCell:
        cell = read_cell(field, text, region, self._currency)
        if cell.is_missing and self._is_name_after_all(field, text):
            return ReadCell(text)
        if cell.value is not None and self._is_no_name(field, text):
            return ReadCell(None, f"{text[:60]!r} is no value", is_missing=True)
        return cell

    def _is_name_after_all(self, field: FieldName, text: str) -> bool:
        """Whether an address or a domain shows that a word for no value is a name here."""
        if field is FieldName.COMPANY_NAME:
            word = _letters(text)
            return bool(word) and any(_letters(label) == word for label in self._domain_labels())
        if field not in _NAMES or not self._has_other_name(field):
            return False
        locals_ = (address.partition("@")[0] for address in self._addresses())
        return may_be_name(field, text.title()) and any(
            _letters(text) in re.split(r"[._+-]", local) for local in locals_
        )

    def _is_no_name(self, field: FieldName, text: str) -> bool:
        """Whether what may be a name is none, because nothing beside it is a name."""
        if field is FieldName.FULL_NAME:
            return all(is_no_value(word) for word in _WORDS.split(text) if word)
        return field in _NAMES and is_no_value(text) and not self._has_other_name(field)

    def _has_other_name(self, field: FieldName) -> bool:
        other = _NAMES[0] if field is _NAMES[1] else _NAMES[1]
        return any(not is_no_value(text) for text in self._texts.get(other, ()))

    def _read_country(self, field: FieldName) -> None:
        for text in self._texts[field]:
            if is_missing(field, text):
                self._add(field, read_cell(field, text))
                continue
            read = self._choose_country(field, text)
            note = read.note or (None if read.code else f"{text[:60]!r} is not understood")
            self._add(field, ReadCell(read.code, note))
            if read.place and field is FieldName.COUNTRY:
                self._keep_place(field, text, read.place)

    def _choose_country(self, field: FieldName, text: str) -> ReadCountry:
        """Read a country; the other cells, which take time to read, are asked only in doubt."""
        city = self._texts.get(FieldName.CITY, [""])[0] if field is FieldName.COUNTRY else ""
        read = read_country(text, city=city)
        if read.note is None and text.strip() != "NA":
            return read
        hints = self._hints(field)
        if text.strip() == "NA" and "NA" not in hints:
            note = "'NA' can be Namibia or a word for no value: write the country's name"
            return ReadCountry(None, note=note)
        return read_country(text, hints, city)

    def _keep_place(self, field: FieldName, text: str, place: tuple[str, ...]) -> None:
        """Keep the state, and the city before it, that stood in a country's cell."""
        places = [(FieldName.REGION, place[-1])]
        if len(place) >= _STATE_AND_CITY:
            places.append((FieldName.CITY, place[0]))
        for kept_as, name in places:
            if kept_as not in self._texts:
                self._values.setdefault(kept_as, name)
                self._notes.append((field, f"{name!r} of {text[:60]!r} is kept as {kept_as}"))

    def _find_region(self) -> str | None:
        """Return where phone numbers are: the person's, the company's, a domain's country."""
        for field in _COUNTRIES:
            if field in self._values:
                return str(self._values[field])
        return next(self._countries_of_domains(), None) or self._region

    def _hints(self, field: FieldName) -> frozenset[CountryCode]:
        """Return the countries that the other cells of a row tell."""
        numbers = (text for each in _PHONES for text in self._texts.get(each, ()))
        regions = (region_of_number(number) for number in numbers)
        other = _COUNTRIES[0] if field is _COUNTRIES[1] else _COUNTRIES[1]
        named = (find_country(text) for text in self._texts.get(other, ()))
        return frozenset(filter(None, (*self._countries_of_domains(), *regions, *named)))

    def _countries_of_domains(self) -> Iterator[CountryCode]:
        for labels in self._domains():
            ending = "gb" if labels[-1] == "uk" else labels[-1]
            if ending not in _OPEN_TLDS and (code := find_country(ending)) and len(ending) == 2:  # noqa: PLR2004 - a country's code
                yield code

    def _domains(self) -> Iterable[list[str]]:
        sites = self._texts.get(FieldName.COMPANY_DOMAIN, ())
        hosts = [re.sub(r"^\w+://|[/?#:].*$", "", site) for site in sites]
        hosts += [address.rpartition("@")[2] for address in self._addresses()]
        for host in hosts:
            if labels := [label for label in host.casefold().split(".") if label]:
                yield labels

    def _domain_labels(self) -> Iterable[str]:
        return (label for labels in self._domains() for label in labels[:-1])

    def _addresses(self) -> Iterable[str]:
        for text in self._texts.get(FieldName.EMAIL, ()):
            yield from read_emails(text).addresses

    def _use_mobile(self) -> None:
        """Keep a second number that is a mobile one as such, where the row has none."""
        others = self._others.get(FieldName.PHONE, [])
        mobile = next((number for number in others if is_mobile(str(number))), None)
        if mobile is not None and FieldName.MOBILE_PHONE not in self._values:
            self._values[FieldName.MOBILE_PHONE] = mobile
            others.remove(mobile)


def _is_better(field: FieldName, value: Scalar, current: Scalar) -> bool:
    """Whether a later value can be used and the current one cannot."""
    if field is FieldName.EMAIL:
        return bool(why_not_personal(str(current)) and not why_not_personal(str(value)))
    return callable_number(str(current)) is None and callable_number(str(value)) is not None


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))
