"""Which keys make a record the same person, from what is known of it.

Source: DESIGN.md §4. A phone is no key: switchboards are shared. A company without a person is
known by its domain (`company`), so a file of companies gives one lead each.
"""

from collections.abc import Callable, Iterable

from leadflood.contracts.found_values import FoundValue
from leadflood.contracts.values import FieldName
from leadflood.domain.leads.canon import (
    canonical_email,
    canonical_linkedin,
    clean_text,
    company_domain,
    name_key,
)
from leadflood.domain.leads.schemas import IdentityKey

MAX_KEY = 400
SURE_ENOUGH = 0.5
"""An address or a name somebody merely guessed must not merge two people."""

IDENTIFYING = frozenset(
    {
        FieldName.EMAIL,
        FieldName.LINKEDIN_URL,
        FieldName.COMPANY_DOMAIN,
        FieldName.FULL_NAME,
        FieldName.FIRST_NAME,
        FieldName.LAST_NAME,
    }
)
"""The fields whose values make keys."""

_ENOUGH = frozenset({FieldName.EMAIL, FieldName.LINKEDIN_URL, FieldName.COMPANY_DOMAIN})


def provider_key(provider: str, provider_id: str) -> IdentityKey | None:
    """Make the key of a provider's own id; None where the id is no id."""
    value = clean_text(provider_id)
    if not value or len(value) > MAX_KEY:
        return None
    return IdentityKey(f"provider:{provider}", value)


def identity_keys(values: Iterable[FoundValue]) -> tuple[IdentityKey, ...]:
    """Tell the keys that values give together, sorted; later values do not hide earlier ones."""
    known: dict[FieldName, list[str]] = {}
    for found in values:
        if found.field not in IDENTIFYING or found.confidence < SURE_ENOUGH:
            continue
        if isinstance(found.value, str):
            known.setdefault(found.field, []).append(found.value)
    if not known.keys() & _ENOUGH:
        return ()
    keys = {IdentityKey("email", email) for email in _each(known, FieldName.EMAIL, canonical_email)}
    keys |= {
        IdentityKey("linkedin", url)
        for url in _each(known, FieldName.LINKEDIN_URL, canonical_linkedin)
    }
    domains = _each(known, FieldName.COMPANY_DOMAIN, company_domain)
    name = _name_of(known)
    if name and domains:
        keys.add(IdentityKey("name_domain", f"{name}|{domains[0]}"))
    elif domains and not keys and not _is_person(known):
        keys.add(IdentityKey("company", domains[0]))
    return tuple(sorted(key for key in keys if len(key.value) <= MAX_KEY))


def _each(
    known: dict[FieldName, list[str]], field: FieldName, form: Callable[[str], str | None]
) -> list[str]:
    raws = known.get(field)
    if not raws:
        return []
    return [text for raw in dict.fromkeys(raws) if (text := form(raw)) is not None]


def _is_person(known: dict[FieldName, list[str]]) -> bool:
    return any(
        field in known for field in (FieldName.FULL_NAME, FieldName.FIRST_NAME, FieldName.LAST_NAME)
    )


def _name_of(known: dict[FieldName, list[str]]) -> str:
    first = known.get(FieldName.FIRST_NAME, [""])[0]
    last = known.get(FieldName.LAST_NAME, [""])[0]
    if first and last:
        return name_key(f"{first} {last}")
    folded = name_key(known.get(FieldName.FULL_NAME, [""])[0])
    return folded if " " in folded else ""
