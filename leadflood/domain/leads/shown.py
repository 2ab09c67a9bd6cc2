"""What lists show of a lead, what they sort it by and which words find it; pure.

Words are folded as names are (no case, no accents) and kept as they are; an address and a domain
are words as a whole and in their parts, without the last label that everybody shares.
"""

import re
from collections.abc import Iterable, Mapping

import msgspec

from leadflood.contracts.found_values import Scalar
from leadflood.contracts.values import FieldName
from leadflood.domain.leads.canon import name_key

SHOWN_FIELDS = (
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
MOST_ASKED = 8
MOST_CHARS = 60
_SORTED_CHARS = 80
_WHOLE = re.compile(r"[^\w.@+-]")
_SPACE = re.compile(r"\s+")


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What lists show of a lead; None: not known. `words` have spaces between, each once."""

    full_name: str | None = None
    title: str | None = None
    email: str | None = None
    company_name: str | None = None
    country: str | None = None
    sort_name: str = ""
    words: str = ""


def shown_of(values: Mapping[FieldName, Scalar]) -> Shown:
    """Choose what is shown of the winning values.

    A lead without a name is sorted under its company's, one without both under its address.
    """
    told = {field: str(value) for field, value in values.items() if field in SHOWN_FIELDS}
    parts = (told.get(FieldName.FIRST_NAME), told.get(FieldName.LAST_NAME))
    name = told.get(FieldName.FULL_NAME) or " ".join(part for part in parts if part) or None
    company, email = told.get(FieldName.COMPANY_NAME), told.get(FieldName.EMAIL)
    return Shown(
        full_name=name,
        title=told.get(FieldName.TITLE),
        email=email,
        company_name=company,
        country=told.get(FieldName.COUNTRY),
        sort_name=name_key(name or company or email or "")[:_SORTED_CHARS],
        words=" ".join(_words(name, told)),
    )


def read_search(text: str) -> str:
    """Turn what a person typed into a query of Postgres: each word, or what begins with it.

    Empty where no word is left of it: nothing fits that. Only letters, digits and `.@+-_` get
    through, quoted, so nothing in it is taken for an operator.
    """
    asked = []
    for raw in _SPACE.split(text.strip())[:MOST_ASKED]:
        parts = [_starts(part) for part in name_key(raw).split()[:MOST_ASKED]]
        either = " & ".join(parts)
        whole = _whole(raw)
        if whole is not None:
            either = f"({either}) | {_starts(whole)}" if parts else _starts(whole)
        if either:
            asked.append(f"({either})")
    return " & ".join(asked)


def _starts(word: str) -> str:
    return f"'{word[:MOST_CHARS]}':*"


def _whole(raw: str) -> str | None:
    """Tell an address or a domain as one word; None where it is no such thing."""
    whole = _WHOLE.sub("", raw.casefold())
    is_joined = "@" in whole or "." in whole.strip(".")
    return whole if is_joined and any(c.isalnum() for c in whole) else None


def _words(name: str | None, told: Mapping[FieldName, str]) -> Iterable[str]:
    email = told.get(FieldName.EMAIL, "")
    local, _, host = email.rpartition("@")
    domain = told.get(FieldName.COMPANY_DOMAIN, "")
    texts = (
        name or "",
        told.get(FieldName.COMPANY_NAME, ""),
        told.get(FieldName.TITLE, ""),
        local,
        host.rpartition(".")[0],
        domain.rpartition(".")[0],
    )
    found = dict.fromkeys(
        whole[:MOST_CHARS] for one in (email, domain) if (whole := _whole(one)) is not None
    )
    for text in texts:
        found |= dict.fromkeys(word[:MOST_CHARS] for word in name_key(text).split())
    return list(found)[:MOST_WORDS]
