"""Subject of a file: whether its rows are people or companies, by its columns and its cells."""

import re
from collections.abc import Sequence

from leadflood.contracts.normalization.domains import company_domain
from leadflood.domain.imports.rules.cell_kinds import SHARE
from leadflood.domain.imports.rules.column_words import find_field, find_meaning, header_key
from leadflood.domain.imports.schemas.column_fields import ColumnField
from leadflood.domain.imports.schemas.columns import Subject

_PERSONAL = frozenset(
    {
        ColumnField.FIRST_NAME,
        ColumnField.LAST_NAME,
        ColumnField.EMAIL,
        ColumnField.TITLE,
        ColumnField.LINKEDIN_URL,
    }
)
_OF_COMPANY = {
    ColumnField.FULL_NAME: ColumnField.COMPANY_NAME,
    ColumnField.COUNTRY: ColumnField.COMPANY_COUNTRY,
}
_NAMES = frozenset({ColumnField.FULL_NAME, ColumnField.FIRST_NAME, ColumnField.LAST_NAME})
_LEGAL_FORM = re.compile(
    r"\b(gmbh|ag|kg|ohg|ug|e\.?k|se|inc|incorporated|corp|corporation|co|llc|llp|ltd|limited|plc"
    r"|pty|sarl|s\.a\.r\.l|sas|s\.?a|s\.?p\.?a|s\.?r\.?l|s\.?l|b\.?v|n\.?v|ab|a/s|aps|oy|oyj|kft|zrt"
    r"|s\.?r\.?o|a\.?s|sp\. ?z ?o\. ?o|d\.?o\.?o|tbk|holding|group)\b\.?$"
    r"|株式会社|有限会社|合同会社|有限公司|주식회사|㈱",
    re.IGNORECASE,
)
_SHORTEST_LABEL = 3


class SubjectGuess:
    """What the rows of a file are, and whether its columns alone say so."""

    def __init__(
        self, fields: Sequence[ColumnField | None], sample: Sequence[Sequence[str]]
    ) -> None:
        held = {field for field in fields if field is not None}
        has_company = ColumnField.COMPANY_NAME in held
        self.is_open = (
            not held & _PERSONAL
            and ColumnField.COMPANY_DOMAIN in held
            and (not has_company or ColumnField.FULL_NAME not in held)
        )
        is_company = self.is_open and (has_company or _name_companies(fields, sample))
        self.subject = Subject.COMPANIES if is_company else Subject.PEOPLE

    def warning(self) -> str | None:
        """Return what was guessed; None where a column of persons leaves no question."""
        if not self.is_open:
            return None
        if self.subject is Subject.COMPANIES:
            read_as, other = "companies without a person", Subject.PEOPLE
        else:
            read_as, other = "people, and `Name` as their names", Subject.COMPANIES
        return (
            f"no column tells of a person but perhaps a name: the rows are read as {read_as};"
            f" if they are not, set `subject` to {other.value}"
        )


def fields_for(
    headers: Sequence[str], fields: Sequence[ColumnField | None], subject: Subject
) -> tuple[ColumnField | None, ...]:
    """Return the fields of columns in a file of people, or of companies.

    There `Name` is the company's, and so is `Country`.
    """
    if subject is Subject.COMPANIES:
        return tuple(
            field
            if field is None or _OF_COMPANY.get(field) in fields
            else _OF_COMPANY.get(field, field)
            for field in fields
        )
    return tuple(_of_person(header, field) for header, field in zip(headers, fields, strict=True))


def _of_person(header: str, field: ColumnField | None) -> ColumnField | None:
    """Return a person's field where the company's is only so by the file's subject.

    A company's id is no row's in a file of people.
    """
    meaning = find_meaning(header)
    if field is ColumnField.EXTERNAL_ID and meaning is not None and meaning.is_of_company:
        return None
    named = find_field(header)
    if field is ColumnField.COMPANY_NAME and named in _NAMES:
        return ColumnField.FULL_NAME
    if field is ColumnField.COMPANY_COUNTRY and named is not field:
        return ColumnField.COUNTRY
    return field


def _name_companies(fields: Sequence[ColumnField | None], sample: Sequence[Sequence[str]]) -> bool:
    """Whether names end in a legal form, or are those of the web sites beside them."""
    if ColumnField.FULL_NAME not in fields:
        return True
    name_at, site_at = fields.index(ColumnField.FULL_NAME), fields.index(ColumnField.COMPANY_DOMAIN)
    pairs = [
        (row[name_at], row[site_at])
        for row in sample
        if max(name_at, site_at) < len(row) and row[name_at].strip()
    ]
    count = sum(_names_company(name, site) for name, site in pairs)
    return bool(pairs) and count >= SHARE * len(pairs)


def _names_company(name: str, site: str) -> bool:
    if _LEGAL_FORM.search(name.strip()):
        return True
    label = header_key((company_domain(site) or "").partition(".")[0])
    key = header_key(name)
    return len(label) >= _SHORTEST_LABEL and (key.startswith(label) or label.startswith(key))
