from typing import Any
from uuid import UUID

import msgspec
import pytest
from leadflood.contracts.values import FieldName
from leadflood.domain.leads.rules.edits import compare_keys, read_edits
from leadflood.domain.leads.schemas.inputs import LeadChange
from leadflood.domain.leads.schemas.lead_states import LeadStatus
from leadflood.domain.leads.schemas.profiles import LeadProfile, ProfileValue
from leadflood.engine.errors import Invalid
from tests.domain.leads.people import SEEN_AT


def a_profile(settled: tuple[FieldName, ...] = (), **values: str) -> LeadProfile:
    return LeadProfile(
        lead_id=UUID(int=1),
        version=1,
        status=LeadStatus.ENRICHED,
        failed_code=None,
        company_id=None,
        members=(UUID(int=1),),
        values={
            FieldName(field): ProfileValue(
                id=UUID(int=2), subject_id=UUID(int=1), field=FieldName(field), value=value,
                source="apollo", method="x", observed_at=SEEN_AT, confidence=0.9,
                evidence_hash="e", is_human=FieldName(field) in settled,
            )
            for field, value in values.items()
        },
        provider_ids={},
        settled=frozenset(settled),
    )  # fmt: skip


def test_fields_left_out_are_not_edited() -> None:
    assert not read_edits(LeadChange())


def test_edited_values_are_normalized() -> None:
    words = read_edits(LeadChange(email="Ann@ACME.example", country="Germany", title=None))

    assert words.values[FieldName.COUNTRY] == "DE"
    assert words.values[FieldName.EMAIL] == "ann@acme.example"
    assert words.emptied == (FieldName.TITLE,)


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"email": "x"}, "email"),
        ({"phone": "123"}, "phone"),
        ({"linkedin_url": "https://example.com"}, "linkedinUrl"),
        ({"company_size": "many"}, "companySize"),
        ({"city": " "}, "city"),
    ],
)
def test_an_invalid_edit_names_its_field(given: dict[str, Any], path: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_edits(LeadChange(**given))

    assert [problem.path for problem in refused.value.fields] == [path]


def test_every_field_of_a_change_is_a_field_of_leads() -> None:
    for field in msgspec.structs.fields(LeadChange):
        FieldName(field.name)


def test_confirming_a_provider_s_value_is_an_edit_and_repeating_one_s_own_is_not() -> None:
    words = read_edits(LeadChange(title="COO", city=None))

    assert words.without_repeats(a_profile(title="COO")).fields == {FieldName.TITLE, FieldName.CITY}
    settled = a_profile((FieldName.TITLE, FieldName.CITY), title="COO")
    assert not words.without_repeats(settled)


def test_keys_follow_the_address_and_the_name_at_the_company() -> None:
    profile = a_profile(email="a@acme.example", full_name="Ann Lee", company_domain="acme.example")

    moved = compare_keys(profile, read_edits(LeadChange(email="b@acme.example")))
    named = compare_keys(profile, read_edits(LeadChange(full_name="Ann Long")))

    assert [key.value for key in moved.claimed] == ["b@acme.example"]
    assert [key.value for key in moved.released] == ["a@acme.example"]
    assert [key.kind for key in named.claimed] == ["name_domain"]
    assert [key.kind for key in named.released] == ["name_domain"]


def test_a_title_tells_nobody_s_identity() -> None:
    moved = compare_keys(a_profile(email="a@acme.example"), read_edits(LeadChange(title="CTO")))

    assert (moved.claimed, moved.released) == ((), ())


def test_the_full_name_follows_its_parts_unless_it_is_given() -> None:
    profile = a_profile(first_name="Ann", last_name="Lee", full_name="Ann Lee")

    part = read_edits(LeadChange(first_name="Anna")).with_name(profile)
    whole = read_edits(LeadChange(first_name="Anna", full_name="A. Lee")).with_name(profile)
    alone = read_edits(LeadChange(first_name="Anna", last_name=None)).with_name(profile)

    assert part.values[FieldName.FULL_NAME] == "Anna Lee"
    assert whole.values[FieldName.FULL_NAME] == "A. Lee"
    assert alone.values[FieldName.FULL_NAME] == "Anna"


def test_a_corrected_whole_name_takes_its_parts_with_it() -> None:
    profile = a_profile(full_name="Eda Bergg", first_name="Eda", last_name="Bergg")
    western = read_edits(LeadChange(full_name="Dr. Ada Berg")).with_name(profile)
    whole = read_edits(LeadChange(full_name="山田太郎")).with_name(profile)
    by_hand = read_edits(LeadChange(full_name="Ada Berg", first_name="Addie")).with_name(profile)

    assert western.values == {
        FieldName.FULL_NAME: "Dr. Ada Berg",
        FieldName.FIRST_NAME: "Ada",
        FieldName.LAST_NAME: "Berg",
    }
    assert whole.values == {FieldName.FULL_NAME: "山田太郎"}
    assert set(whole.emptied) == {FieldName.FIRST_NAME, FieldName.LAST_NAME}
    assert FieldName.LAST_NAME not in by_hand.values


def test_a_page_on_a_shared_host_is_no_domain_that_somebody_may_state() -> None:
    page = read_edits(LeadChange(company_domain="https://www.facebook.com/cafe"))

    assert page.values == {FieldName.COMPANY_PAGE: "https://facebook.com/cafe"}
    with pytest.raises(Invalid):
        read_edits(LeadChange(company_domain="facebook.com"))
