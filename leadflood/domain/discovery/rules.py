"""What becomes of a page: who is let in, and whether another page is wanted. Pure."""

from leadflood.contracts.facts import FoundPerson
from leadflood.contracts.ports.people import PeoplePage
from leadflood.contracts.values import FieldName
from leadflood.domain.discovery.schemas import DiscoveryRun

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
