"""Somebody who does not exist: the facts and the offer of a preview without a lead."""

from uuid import UUID

from leadflood.contracts.values import FieldName
from leadflood.domain.drafting.schemas import ProvenFact

NO_ROW = UUID(int=0)
SAMPLE_SUBJECT = "nobody"
SAMPLE_OFFER = "We cut the time from purchase request to order by half."
_SAMPLES = {
    FieldName.FIRST_NAME: "Ada",
    FieldName.LAST_NAME: "Byron",
    FieldName.FULL_NAME: "Ada Byron",
    FieldName.TITLE: "Head of Logistics",
    FieldName.SENIORITY: "head",
    FieldName.DEPARTMENT: "logistics",
    FieldName.CITY: "London",
    FieldName.COUNTRY: "United Kingdom",
    FieldName.COMPANY_NAME: "Northern Freight",
    FieldName.COMPANY_INDUSTRY: "logistics",
    FieldName.COMPANY_SIZE: "120",
    FieldName.COMPANY_COUNTRY: "United Kingdom",
    FieldName.COMPANY_TECHNOLOGIES: "SAP",
    FieldName.COMPANY_FOUNDED: "2009",
}
SAMPLE_FACTS = tuple(
    ProvenFact(number=number, field=field.value, text=text, field_value_id=NO_ROW)
    for number, (field, text) in enumerate(_SAMPLES.items(), 1)
)
"""Every field that a message may speak of."""
