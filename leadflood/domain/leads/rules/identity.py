"""Which keys make a record the same person, or the same organisation, from what is known of it.

A value found by a key proves no more than that key: an address that a provider found by name and
domain is no key of its own. A record that names no person is an organisation's: it is known by
its domain, or by its name beside its place.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence

from leadflood.contracts.found_values import FoundValue
from leadflood.contracts.normalization.companies import company_key
from leadflood.contracts.normalization.domains import company_domain
from leadflood.contracts.normalization.emails import normalize_email
from leadflood.contracts.normalization.mailboxes import mailbox_key
from leadflood.contracts.normalization.names import person_keys, whole_name
from leadflood.contracts.normalization.profiles import read_linkedin
from leadflood.contracts.normalization.role_mailboxes import is_role_mailbox
from leadflood.contracts.normalization.text import clean_text, name_key
from leadflood.contracts.values import FieldName
from leadflood.domain.leads.rules.name_match import is_whole
from leadflood.domain.leads.schemas.identity import (
    IDENTIFYING,
    MAX_KEY,
    NAMED,
    ROW,
    IdentityKey,
    NewPerson,
)
from leadflood.engine.errors import Invalid

LEAST_CONFIDENCE = 0.5
"""An address or a name somebody merely guessed must not merge two people."""

_LINKEDIN_KINDS = {"in": "linkedin", "pub": "linkedin_pub", "member": "linkedin_member"}
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


def row_key(person: NewPerson, number: int = 1) -> IdentityKey:
    """Return the key of all that a row says; equal rows of a file are told apart by a number."""
    texts = sorted(f"{value.field.value}={value.value}" for value in person.values)
    texts += sorted(f"{system}:{value}" for system, value in person.external_ids)
    digest = hashlib.blake2b("\n".join(texts).encode(), digest_size=16)
    return IdentityKey(ROW, f"{digest.hexdigest()}#{number}")


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


def _name_in(texts: Texts) -> str:
    """Return as much of a person's name as is known, as it is spoken."""
    parts = [texts[field][0] for field in _NAMES[1:] if field in texts]
    whole = texts.get(FieldName.FULL_NAME, [""])[0]
    return whole_name(whole if whole and len(parts) < len(_NAMES) - 1 else " ".join(parts))


def names_in(values: Iterable[FoundValue]) -> tuple[str, str]:
    """Return the person's name and the company's; empty: not known."""
    texts = {value.field: str(value.value) for value in reversed([*values])}
    parts = (texts.get(FieldName.FIRST_NAME), texts.get(FieldName.LAST_NAME))
    full_name = texts.get(FieldName.FULL_NAME) or " ".join(part for part in parts if part)
    return full_name, texts.get(FieldName.COMPANY_NAME, "")


def _proven_keys(texts: Texts) -> set[IdentityKey]:
    """Return the keys that one person alone has; an address is asked for as it is written too."""
    keys = {
        IdentityKey("email", spelling)
        for email in _each(texts, FieldName.EMAIL, normalize_email)
        if not is_role_mailbox(email)
        for spelling in (email, _mailbox_of(email))
    }
    pages = [read_linkedin(text) for text in texts.get(FieldName.LINKEDIN_URL, ())]
    return keys | {
        IdentityKey(_LINKEDIN_KINDS[page.kind], page.url)
        for page in pages
        if page is not None and page.is_person
    }


def _mailbox_of(email: str) -> str:
    """Return the mailbox of an address; an address that has no such form stands for itself."""
    try:
        return mailbox_key(email)
    except Invalid:
        return email


def _name_keys(texts: Texts) -> set[IdentityKey]:
    """Return the keys of a name beside where its person is reached."""
    name = _name_in(texts)
    phones = [text for field in _PHONES for text in texts.get(field, ())]
    beside = [("name_phone", phone) for phone in phones if phone.startswith("+")]
    domains = _each(texts, FieldName.COMPANY_DOMAIN, company_domain)
    whole = NAMED if is_whole(name_key(name)) else "part_"
    if domains:
        beside.append((f"{whole}domain", domains[0]))
    elif company := company_key(texts.get(FieldName.COMPANY_NAME, [""])[0]):
        beside.append((f"{whole}company", company))
    return _named(name, beside)


def _named(name: str, beside: Iterable[tuple[str, str]]) -> set[IdentityKey]:
    """Return the keys of a name, in each way it is spelled, beside what it is reached by."""
    return {
        IdentityKey(kind, f"{spelling}|{text}")
        for kind, text in beside
        for spelling in person_keys(name)
        if spelling
    }


def _mailbox_keys(texts: Texts, strong: set[IdentityKey]) -> set[IdentityKey]:
    """Return the keys of addresses that are not proven to be one person's alone."""
    proven = {key.value for key in strong}
    shared = [
        email for email in _each(texts, FieldName.EMAIL, normalize_email) if email not in proven
    ]
    if not shared:
        return set()
    named = _named(_name_in(texts), [("name_mailbox", email) for email in shared])
    return named | {IdentityKey("mailbox", email) for email in shared}


def _organisation_keys(texts: Texts) -> set[IdentityKey]:
    domains = _each(texts, FieldName.COMPANY_DOMAIN, company_domain)
    keys = {IdentityKey("company", domains[0])} if domains else set()
    name = company_key(texts.get(FieldName.COMPANY_NAME, [""])[0])
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
