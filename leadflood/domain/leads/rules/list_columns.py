"""List columns: what lists show of a lead, what they sort it by and which words find it. Pure."""

from collections.abc import Iterable, Mapping

import msgspec

from leadflood.contracts.found_values import Scalar
from leadflood.contracts.normalization.text import name_key
from leadflood.contracts.text_search import list_words
from leadflood.contracts.values import FieldName

LISTED_FIELDS = (
    FieldName.FULL_NAME,
    FieldName.FIRST_NAME,
    FieldName.LAST_NAME,
    FieldName.TITLE,
    FieldName.EMAIL,
    FieldName.COMPANY_NAME,
    FieldName.COMPANY_DOMAIN,
    FieldName.COUNTRY,
)
"""The fields whose winning values lists need."""

MOST_WORDS = 40
_SORTED_CHARS = 80


class ListColumns(msgspec.Struct, frozen=True, kw_only=True):
    """The list columns of a lead; None: not known. `words` have spaces between, each once."""

    full_name: str | None = None
    title: str | None = None
    email: str | None = None
    company_name: str | None = None
    country: str | None = None
    sort_name: str = ""
    words: str = ""


def choose_list_columns(values: Mapping[FieldName, Scalar]) -> ListColumns:
    """Choose the list columns from the winning values.

    A lead without a name is sorted under its company's, one without both under its address.
    """
    texts = {field: str(value) for field, value in values.items() if field in LISTED_FIELDS}
    parts = (texts.get(FieldName.FIRST_NAME), texts.get(FieldName.LAST_NAME))
    name = texts.get(FieldName.FULL_NAME) or " ".join(part for part in parts if part) or None
    company, email = texts.get(FieldName.COMPANY_NAME), texts.get(FieldName.EMAIL)
    return ListColumns(
        full_name=name,
        title=texts.get(FieldName.TITLE),
        email=email,
        company_name=company,
        country=texts.get(FieldName.COUNTRY),
        sort_name=name_key(name or company or email or "")[:_SORTED_CHARS],
        words=" ".join(_words(name, texts)),
    )


def _words(name: str | None, texts: Mapping[FieldName, str]) -> Iterable[str]:
    email = texts.get(FieldName.EMAIL, "")
    local, _, host = email.rpartition("@")
    domain = texts.get(FieldName.COMPANY_DOMAIN, "")
    parts = (
        name or "",
        texts.get(FieldName.COMPANY_NAME, ""),
        texts.get(FieldName.TITLE, ""),
        local,
        host.rpartition(".")[0],
        domain.rpartition(".")[0],
    )
    return list_words((email, domain), parts)[:MOST_WORDS]
