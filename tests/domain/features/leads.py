"""Lead profiles for tests."""

from datetime import UTC, datetime
from uuid import UUID

from leadflood.contracts.found_values import Scalar
from leadflood.contracts.values import FieldName
from leadflood.domain.leads.schemas.lead_states import LeadStatus
from leadflood.domain.leads.schemas.profiles import LeadProfile, ProfileValue

NOBODY = UUID(int=1)
SEEN_AT = datetime(2026, 1, 5, 9, tzinfo=UTC)


def a_profile(**given: Scalar) -> LeadProfile:
    return LeadProfile(
        lead_id=NOBODY,
        version=3,
        status=LeadStatus.PROCESSING,
        failed_code=None,
        company_id=None,
        members=(NOBODY,),
        values={
            FieldName(field): _value(FieldName(field), value) for field, value in given.items()
        },
        provider_ids={},
    )


def _value(field: FieldName, value: Scalar) -> ProfileValue:
    return ProfileValue(
        id=NOBODY,
        subject_id=NOBODY,
        field=field,
        value=value,
        source="apollo" if field.startswith("company") else "hunter",
        method="people.match",
        observed_at=SEEN_AT,
        confidence=0.8,
        evidence_hash="00" * 32,
        is_human=False,
    )
