"""Decisions on a page: which records become leads, and whether another page follows. Pure."""

import hashlib
import re

import msgspec

from leadflood.contracts.found_values import FoundPerson
from leadflood.contracts.ports.people import PeoplePage
from leadflood.contracts.values import FieldName
from leadflood.domain.discovery.schemas import DiscoveryRun, RecordStatus, SearchRequest
from leadflood.domain.leads.schemas.identity import Upserted
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

LOOPS = "discovery.source.loops"
"""The code of a search whose source gives the same people again and again."""
UNREADABLE = "discovery.page.unreadable"
"""The code of a page whose answers could not be read, however often it was asked for."""
MOST_STALE_PAGES = 3
MAX_REQUEST_CHARS = 20_000
MAX_ID_CHARS = 400
MAX_EXCERPT_CHARS = 600
_SECRET = re.compile(
    r'("[^"]*(?:key|secret|token|password|authorization)[^"]*"\s*:\s*)"(?:[^"\\]|\\.)*"',
    re.IGNORECASE,
)


class Candidate(msgspec.Struct):
    """A record of a page before it is written; `person` None when it is refused."""

    provider_id: str
    reason: str | None
    person: FoundPerson | None
    excerpt: str | None = None


def reason_to_reject(person: FoundPerson) -> str | None:
    """Return why a record cannot become a lead; None when it can."""
    if not person.provider_id.strip():
        return "the provider gave no id for this person"
    if not any(value.field in _IDENTIFYING for value in person.values):
        return "nothing is known of this person but an id"
    return None


def has_next_page(run: DiscoveryRun, page: PeoplePage, lead_count: int) -> bool:
    """Whether another page is wanted: more leads are, and there is one.

    A cursor that comes back unchanged would ask for the same page for ever: that is the end.
    """
    return (
        page.next_cursor is not None
        and page.next_cursor != run.cursor
        and lead_count < run.wanted_count
    )


def count_stale_pages(run: DiscoveryRun, *, has_new_person: bool) -> int:
    """Return how many pages in a row have had no person new to this run, with this page."""
    return 0 if has_new_person else run.stale_page_count + 1


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
        request.visibility.owner,
    )
    return hashlib.sha256(msgspec.json.encode(parts)).digest()


def candidates_of(answer: PeoplePage) -> list[Candidate]:
    """Return the records of a page: people who can become leads, and the refused with reasons."""
    candidates = []
    for person in answer.people:
        reason = reason_to_reject(person)
        provider_id = shorten(person.provider_id)
        if reason is None:
            candidates.append(Candidate(provider_id, None, person))
        else:
            candidates.append(Candidate(provider_id, reason, None, excerpt_of(person)))
    candidates += [
        Candidate(shorten(name), shorten(reason), None) for name, reason in answer.refused
    ]
    return candidates


def status_of(
    candidate: Candidate, upserted: Upserted | None, *, is_first: bool
) -> tuple[RecordStatus, str | None]:
    """Return what became of a record, and why it is no new lead; None: it is one."""
    if upserted is None:
        return RecordStatus.REJECTED, candidate.reason
    if upserted.is_new:
        return RecordStatus.DISCOVERED, None
    if upserted.is_deleted:
        return RecordStatus.DUPLICATE, "deleted by a person"
    return RecordStatus.DUPLICATE, "known from earlier" if is_first else "seen before in this run"


def shorten(text: str) -> str:
    """Return a provider's text as it may be stored."""
    return make_storable(text)[:MAX_ID_CHARS]
