"""What becomes of a page: who is let in, and whether another page is wanted. Pure."""

import hashlib
import re

import msgspec

from leadflood.contracts.found_values import FoundPerson
from leadflood.contracts.ports.people import PeoplePage
from leadflood.contracts.values import FieldName
from leadflood.domain.discovery.schemas import DiscoveryRun
from leadflood.engine.text import make_storable

_TELLING = frozenset(
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

MOST_ASKED_CHARS = 20_000
MOST_TOLD_CHARS = 600
_SECRET = re.compile(
    r'("[^"]*(?:key|secret|token|password|authorization)[^"]*"\s*:\s*)"(?:[^"\\]|\\.)*"',
    re.IGNORECASE,
)


def reason_to_reject(person: FoundPerson) -> str | None:
    """Tell why a record cannot become a lead; None when it can."""
    if not person.provider_id.strip():
        return "the provider gave no id for this person"
    if not any(found.field in _TELLING for found in person.values):
        return "nothing is known of this person but an id"
    return None


def goes_on(run: DiscoveryRun, page: PeoplePage, lead_count: int) -> bool:
    """Tell whether another page is wanted: more leads are, and there is one.

    A cursor that comes back unchanged would ask for the same page for ever: that is the end.
    """
    return (
        page.next_cursor is not None
        and page.next_cursor != run.cursor
        and lead_count < run.wanted_count
    )


def mask_asked(asked: str) -> str:
    """Write a request as it may be kept: what looks like a secret masked, not too long."""
    masked = _SECRET.sub(r'\1"******"', make_storable(asked))
    if len(masked) <= MOST_ASKED_CHARS:
        return masked
    return f"{masked[:MOST_ASKED_CHARS]}… ({len(masked) - MOST_ASKED_CHARS} more characters)"


def excerpt_of(person: FoundPerson) -> str:
    """Write down what a record said, field by field, short enough to keep."""
    told = {found.field.value: make_storable(str(found.value)[:100]) for found in person.values}
    text = msgspec.json.encode(told).decode()
    while len(text) > MOST_TOLD_CHARS and told:
        told.popitem()
        text = msgspec.json.encode(told).decode()
    return text


def name_ask(*asked: object) -> bytes:
    """Name what is asked for: equal requests, equal name."""
    return hashlib.sha256(msgspec.json.encode(asked)).digest()
