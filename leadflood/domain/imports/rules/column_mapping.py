"""Column mapping: which field each column of a CRM or LinkedIn export holds, by its header.

Source: exports of Apollo, HubSpot, Salesforce, LinkedIn (connections) as of 2026, our names.
"""

from collections.abc import Sequence

from leadflood.contracts.normalization.text import name_key
from leadflood.domain.imports.schemas.column_fields import ColumnField

_MAX_HEADER_CHARS = 60
_MAX_CELLS = 2_000
_HEADERS = {
    ColumnField.FIRST_NAME: "first name|given name|first|vorname|prenom|nombre|contact first name",
    ColumnField.LAST_NAME: "last name|surname|family name|last|nachname|nom|apellido"
    "|contact last name",
    ColumnField.FULL_NAME: "name|full name|contact name|contact|person name|lead name|person",
    ColumnField.TITLE: "title|job title|position|role|job position|current title|headline|job",
    ColumnField.SENIORITY: "seniority|seniority level|management level",
    ColumnField.DEPARTMENT: "department|departments|function|job function",
    ColumnField.EMAIL: "email|email address|e mail|e mail address|mail|work email|business email"
    "|primary email|contact email|email 1|person email|company email|e mail adresse",
    ColumnField.EMAIL_STATUS: "email status|primary email status|email verification status",
    ColumnField.PHONE: "phone|phone number|telephone|mobile|mobile phone|mobile number|direct phone"
    "|work direct phone|first phone|business phone|work phone|tel|cell|telefon",
    ColumnField.LINKEDIN_URL: "linkedin|linkedin url|person linkedin url|linkedin profile"
    "|linkedin profile url|profile url|contact linkedin url|person linkedin|hs linkedin url",
    ColumnField.CITY: "city|town|person city|ort|stadt",
    ColumnField.COUNTRY: "country|country region|country code|person country|contact country|land"
    "|country name|mailing country",
    ColumnField.COMPANY_NAME: "company|company name|organization|organisation|organization name"
    "|account|account name|employer|company name for emails|firma|associated company"
    "|current company|unternehmen|business name",
    ColumnField.COMPANY_DOMAIN: "website|website url|domain|company domain|company website"
    "|company domain name|web|web site|company url|organization website|homepage|domain name",
    ColumnField.COMPANY_INDUSTRY: "industry|company industry|sector|branche",
    ColumnField.COMPANY_SIZE: "employees|company size|number of employees|no of employees|headcount"
    "|employee count|num employees|size|company employees|of employees|employee range",
    ColumnField.COMPANY_COUNTRY: "company country|company hq country|account country"
    "|billing country|hq country",
    ColumnField.COMPANY_TECHNOLOGIES: "technologies|tech stack|technology|company technologies"
    "|web technologies",
    ColumnField.COMPANY_FOUNDED: "founded|founded year|year founded|company founded",
    ColumnField.COMPANY_REVENUE: "revenue|annual revenue|company revenue|company annual revenue",
    ColumnField.COMPANY_LINKEDIN_URL: "company linkedin url|company linkedin|company linkedin page"
    "|linkedin company page",
}
_FIELDS = {
    header.replace(" ", ""): field
    for field, headers in _HEADERS.items()
    for header in headers.split("|")
} | {field.value.replace("_", ""): field for field in ColumnField}
_PERSONAL = frozenset(
    {
        ColumnField.FIRST_NAME,
        ColumnField.LAST_NAME,
        ColumnField.EMAIL,
        ColumnField.TITLE,
        ColumnField.LINKEDIN_URL,
        ColumnField.COMPANY_NAME,
    }
)
_OF_COMPANY = {
    ColumnField.FULL_NAME: ColumnField.COMPANY_NAME,
    ColumnField.COUNTRY: ColumnField.COMPANY_COUNTRY,
}


def find_field(header: str) -> ColumnField | None:
    """Find the field that a header names; None when it is unknown."""
    return _FIELDS.get(name_key(header).replace(" ", ""))


def count_known(cells: Sequence[str]) -> int:
    """Count the cells of a row that are known headers."""
    return sum(
        len(cell) < _MAX_HEADER_CHARS
        and (find_field(cell) is not None or cell.strip().casefold() == "url")
        for cell in cells[:_MAX_CELLS]
    )


def match_headers(
    headers: Sequence[str], sample: Sequence[Sequence[str]]
) -> tuple[ColumnField | None, ...]:
    """Return the field of each column; its first cells decide what a bare `URL` is.

    In a file of companies (no column of a person) `Name` is the company's and so is `Country`.
    """
    fields = [
        _url_field(index, sample) if name_key(header) == "url" else find_field(header)
        for index, header in enumerate(headers)
    ]
    if not _PERSONAL & set(fields) and ColumnField.COMPANY_DOMAIN in fields:
        fields = [_OF_COMPANY.get(field, field) if field else None for field in fields]
    return tuple(fields)


def _url_field(index: int, sample: Sequence[Sequence[str]]) -> ColumnField:
    cells = [row[index] for row in sample if index < len(row) and row[index]]
    is_profile = any("linkedin.com/in/" in cell.casefold() for cell in cells)
    return ColumnField.LINKEDIN_URL if is_profile else ColumnField.COMPANY_DOMAIN
