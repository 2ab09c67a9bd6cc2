"""What becomes of a page: who is let in, and whether another page is wanted. Pure."""

import hashlib
import re

import msgspec

from leadflood.contracts.found_values import FoundPerson
from leadflood.contracts.ports.people import PeoplePage
from leadflood.contracts.values import FieldName
from leadflood.domain.discovery.schemas import DiscoveryRun, SearchRequest
from leadflood.domain.runs.schemas import RunLimits
from leadflood.engine.text import make_storable

_IDENTIFYING = frozenset(
    {
        FieldName.FULL_NAME,
        FieldName.FIRST_NAME,
        FieldName.LAST_NAME,
        FieldName.EMAIL,
        FieldName.LINKEDIN_URL,
        FieldName.TITLE,
        FieldName.COMPANY_NAME,
        FieldName.COMPANY_DOMAIN,
    }
)

MAX_REQUEST_CHARS = 20_000
MAX_EXCERPT_CHARS = 600
_SECRET = re.compile(
    r'("[^"]*(?:key|secret|token|password|authorization)[^"]*"\s*:\s*)"(?:[^"\\]|\\.)*"',
    re.IGNORECASE,
)


def reason_to_reject(person: FoundPerson) -> str | None:
    """Return why a record cannot become a lead; None when it can."""
    if not person.provider_id.strip():
        return "the provider gave no id for this person"
    if not any(value.field in _IDENTIFYING for value in person.values):
        return "nothing is known of this person but an id"
    return None


def goes_on(run: DiscoveryRun, page: PeoplePage, lead_count: int) -> bool:
    """Whether another page is wanted: more leads are, and there is one.

    A cursor that comes back unchanged would ask for the same page for ever: that is the end.
    """
    return (
        page.next_cursor is not None
        and page.next_cursor != run.cursor
        and lead_count < run.wanted_count
    )


def mask_request(request: str) -> str:
    """Return a request's body as it may be stored: secrets masked, not too long."""
    masked = _SECRET.sub(r'\1"******"', make_storable(request))
    if len(masked) <= MAX_REQUEST_CHARS:
        return masked
    return f"{masked[:MAX_REQUEST_CHARS]}… ({len(masked) - MAX_REQUEST_CHARS} more characters)"


def excerpt_of(person: FoundPerson) -> str:
    """Return what a record says, field by field, short enough to store."""
    values = {value.field.value: make_storable(str(value.value)[:100]) for value in person.values}
    text = msgspec.json.encode(values).decode()
    while len(text) > MAX_EXCERPT_CHARS and values:
        values.popitem()
        text = msgspec.json.encode(values).decode()
    return text


def hash_request(request: SearchRequest, limits: RunLimits) -> bytes:
    """Return the hash of all that a search asks for, with the caps it gets."""
    providers = None if limits.providers is None else sorted(limits.providers)
    parts = (
        request.icp_id,
        request.provider,
        request.kind,
        request.max_leads,
        limits.sends,
        providers,
        limits.cap_micros,
        limits.lead_cap_micros,
    )
    return hashlib.sha256(msgspec.json.encode(parts)).digest()
