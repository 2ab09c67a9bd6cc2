"""Which keys make a record the same person, or the same organisation, from what is known of it.

A value found by a key proves no more than that key: an address that a provider found by name and
domain is no key of its own. A record that names no person is an organisation's: it is known by
its domain, or by its name beside its place.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from leadflood.contracts.found_values import FoundValue
from leadflood.contracts.normalization.domains import company_domain
from leadflood.contracts.normalization.emails import normalize_email
from leadflood.contracts.normalization.profiles import read_linkedin
from leadflood.contracts.normalization.role_mailboxes import is_role_mailbox
from leadflood.contracts.normalization.text import clean_text, name_key
from leadflood.contracts.values import FieldName
from leadflood.domain.leads.schemas.identity import IDENTIFYING, MAX_KEY, IdentityKey

LEAST_CONFIDENCE = 0.5
"""An address or a name somebody merely guessed must not merge two people."""

_LINKEDIN_KINDS = {"in": "linkedin", "pub": "linkedin_pub", "member": "linkedin_member"}
_WHOLE_NAME = re.compile("^[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]{2,}$")
"""A Chinese, Japanese or Korean name is whole without a space."""
_NAMES = (FieldName.FULL_NAME, FieldName.FIRST_NAME, FieldName.LAST_NAME)
_PHONES = (FieldName.PHONE, FieldName.MOBILE_PHONE)
_PLACES = (FieldName.CITY, FieldName.COUNTRY, FieldName.COMPANY_COUNTRY, *_PHONES)

Texts = Mapping[FieldName, Sequence[str]]


def provider_key(provider: str, provider_id: str) -> IdentityKey | None:
    """Return the key of a provider's own id; None where the id is no id."""
    value = clean_text(provider_id)
    if not value or len(value) > MAX_KEY:
        return None
    return IdentityKey(f"provider:{provider}", value)


def external_key(source: str, external_id: str) -> IdentityKey:
    """Return the key of an id in the system that a file is from; of a very long one its hash."""
    value = clean_text(external_id)
    if len(value) > MAX_KEY:
        value = hashlib.sha256(value.encode()).hexdigest()
    return IdentityKey(f"external:{name_key(source)}", value)


def identity_keys(values: Iterable[FoundValue]) -> tuple[IdentityKey, ...]:
    """Return the keys that values give together, sorted; later values do not hide earlier ones."""
    texts: dict[FieldName, list[str]] = {}
    proven: dict[FieldName, list[str]] = {}
    for value in values:
        if value.field not in IDENTIFYING or value.confidence < LEAST_CONFIDENCE:
            continue
        if isinstance(value.value, str):
            texts.setdefault(value.field, []).append(value.value)
            if not value.is_found_by_name:
                proven.setdefault(value.field, []).append(value.value)
    strong = _proven_keys(proven)
    if any(field in texts for field in _NAMES) or strong:
        keys = strong | _name_keys(texts)
    else:
        keys = _organisation_keys(texts)
    keys |= _mailbox_keys(texts, strong)
    return tuple(sorted(key for key in keys if len(key.value) <= MAX_KEY))


def full_name_key(texts: Texts) -> str:
    """Return a person's whole name, folded; empty when only a part of it is known."""
    first = texts.get(FieldName.FIRST_NAME, [""])[0]
    last = texts.get(FieldName.LAST_NAME, [""])[0]
    if first and last:
        return name_key(f"{first} {last}")
    folded = name_key(texts.get(FieldName.FULL_NAME, [""])[0])
    return folded if " " in folded or _WHOLE_NAME.match(folded) else ""


def _any_name_key(texts: Texts) -> str:
    """Return as much of a person's name as is known, folded."""
    parts = [texts[field][0] for field in _NAMES[1:] if field in texts]
    return full_name_key(texts) or name_key(
        (texts.get(FieldName.FULL_NAME) or [" ".join(parts)])[0]
    )


def names_in(values: Iterable[FoundValue]) -> tuple[str, str]:
    """Return the person's name and the company's; empty: not known."""
    texts = {value.field: str(value.value) for value in reversed([*values])}
    parts = (texts.get(FieldName.FIRST_NAME), texts.get(FieldName.LAST_NAME))
    full_name = texts.get(FieldName.FULL_NAME) or " ".join(part for part in parts if part)
    return full_name, texts.get(FieldName.COMPANY_NAME, "")


def _proven_keys(texts: Texts) -> set[IdentityKey]:
    """Return the keys that one person alone has."""
    keys = {
        IdentityKey("email", email)
        for email in _each(texts, FieldName.EMAIL, normalize_email)
        if not is_role_mailbox(email)
    }
    pages = [read_linkedin(text) for text in texts.get(FieldName.LINKEDIN_URL, ())]
    return keys | {
        IdentityKey(_LINKEDIN_KINDS[page.kind], page.url)
        for page in pages
        if page is not None and page.is_person
    }


def _name_keys(texts: Texts) -> set[IdentityKey]:
    """Return the keys of a name beside where its person is reached."""
    name = _any_name_key(texts)
    if not name:
        return set()
    keys = {
        IdentityKey("name_phone", f"{name}|{phone}")
        for field in _PHONES
        for phone in texts.get(field, ())
        if phone.startswith("+")
    }
    if domains := _each(texts, FieldName.COMPANY_DOMAIN, company_domain):
        whole = full_name_key(texts)
        return keys | {IdentityKey("name_domain", f"{whole}|{domains[0]}")} if whole else keys
    company = name_key(texts.get(FieldName.COMPANY_NAME, [""])[0])
    return keys | {IdentityKey("name_company", f"{name}|{company}")} if company else keys


def _mailbox_keys(texts: Texts, strong: set[IdentityKey]) -> set[IdentityKey]:
    """Return the keys of addresses that are not proven to be one person's alone."""
    proven = {key.value for key in strong}
    shared = [
        email for email in _each(texts, FieldName.EMAIL, normalize_email) if email not in proven
    ]
    name = _any_name_key(texts)
    named = {IdentityKey("name_mailbox", f"{name}|{email}") for email in shared if name}
    return named | {IdentityKey("mailbox", email) for email in shared}


def _organisation_keys(texts: Texts) -> set[IdentityKey]:
    domains = _each(texts, FieldName.COMPANY_DOMAIN, company_domain)
    keys = {IdentityKey("company", domains[0])} if domains else set()
    name = name_key(texts.get(FieldName.COMPANY_NAME, [""])[0])
    place = next((field for field in _PLACES if field in texts), None)
    if name and place is not None:
        sort = place.value.removeprefix("company_")
        keys.add(IdentityKey("organisation", f"{name}|{sort}={name_key(texts[place][0])}"))
    return keys


def _each(texts: Texts, field: FieldName, normalize: Callable[[str], str | None]) -> list[str]:
    raw = texts.get(field)
    if not raw:
        return []
    return [value for text in dict.fromkeys(raw) if (value := normalize(text)) is not None]
