"""Which keys make a record the same person, from what is known of it.

A phone is no key: switchboards are shared. A company without a person is
known by its domain (`company`), so a file of companies gives one lead each.
"""

from collections.abc import Callable, Iterable

from leadflood.contracts.found_values import FoundValue
from leadflood.contracts.normalization.domains import company_domain
from leadflood.contracts.normalization.emails import normalize_email
from leadflood.contracts.normalization.profiles import normalize_linkedin
from leadflood.contracts.normalization.text import clean_text, name_key
from leadflood.contracts.values import FieldName
from leadflood.domain.leads.schemas.identity import IDENTIFYING, MAX_KEY, IdentityKey

LEAST_CONFIDENCE = 0.5
"""An address or a name somebody merely guessed must not merge two people."""

_SUFFICIENT = frozenset({FieldName.EMAIL, FieldName.LINKEDIN_URL, FieldName.COMPANY_DOMAIN})
"""Without one of these there is no key."""


def provider_key(provider: str, provider_id: str) -> IdentityKey | None:
    """Return the key of a provider's own id; None where the id is no id."""
    value = clean_text(provider_id)
    if not value or len(value) > MAX_KEY:
        return None
    return IdentityKey(f"provider:{provider}", value)


def identity_keys(values: Iterable[FoundValue]) -> tuple[IdentityKey, ...]:
    """Return the keys that values give together, sorted; later values do not hide earlier ones."""
    texts: dict[FieldName, list[str]] = {}
    for value in values:
        if value.field not in IDENTIFYING or value.confidence < LEAST_CONFIDENCE:
            continue
        if isinstance(value.value, str):
            texts.setdefault(value.field, []).append(value.value)
    if not texts.keys() & _SUFFICIENT:
        return ()
    keys = {IdentityKey("email", email) for email in _each(texts, FieldName.EMAIL, normalize_email)}
    keys |= {
        IdentityKey("linkedin", url)
        for url in _each(texts, FieldName.LINKEDIN_URL, normalize_linkedin)
    }
    domains = _each(texts, FieldName.COMPANY_DOMAIN, company_domain)
    name = _name_of(texts)
    if name and domains:
        keys.add(IdentityKey("name_domain", f"{name}|{domains[0]}"))
    elif domains and not keys and not _is_person(texts):
        keys.add(IdentityKey("company", domains[0]))
    return tuple(sorted(key for key in keys if len(key.value) <= MAX_KEY))


def _each(
    texts: dict[FieldName, list[str]], field: FieldName, normalize: Callable[[str], str | None]
) -> list[str]:
    raw = texts.get(field)
    if not raw:
        return []
    return [value for text in dict.fromkeys(raw) if (value := normalize(text)) is not None]


def _is_person(texts: dict[FieldName, list[str]]) -> bool:
    return any(
        field in texts for field in (FieldName.FULL_NAME, FieldName.FIRST_NAME, FieldName.LAST_NAME)
    )


def _name_of(texts: dict[FieldName, list[str]]) -> str:
    first = texts.get(FieldName.FIRST_NAME, [""])[0]
    last = texts.get(FieldName.LAST_NAME, [""])[0]
    if first and last:
        return name_key(f"{first} {last}")
    folded = name_key(texts.get(FieldName.FULL_NAME, [""])[0])
    return folded if " " in folded else ""
