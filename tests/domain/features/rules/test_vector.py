from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st
from leadflood.contracts.values import FieldName
from leadflood.domain.features.rules.prepared_target import PreparedTarget
from leadflood.domain.features.rules.registry import REGISTRY
from leadflood.domain.features.rules.vector import canonical_json, compute_vector, vector_hash
from leadflood.domain.features.schemas import Vector
from leadflood.domain.icp.schemas import FieldKind, RuleField, Target
from tests.domain.features.leads import a_profile
from tests.domain.icp.icps import CALM, an_icp

AIM = PreparedTarget(an_icp().target)
KINDS: dict[FieldKind, tuple[type, ...]] = {
    FieldKind.NUMBER: (int, float),
    FieldKind.FLAG: (bool,),
    FieldKind.CATEGORY: (str,),
    FieldKind.TEXT: (str,),
    FieldKind.LIST: (tuple,),
}
scalars = st.one_of(
    st.text(),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.lists(st.text(), max_size=3).map(tuple),
    st.sampled_from(("nan", "inf", "1e400", "\ud800", "vp", "a@b.example", "50")),
)
profiles = st.dictionaries(st.sampled_from(FieldName), scalars).map(
    lambda given: a_profile(**{field.value: value for field, value in given.items()})
)


def test_the_registry_computes_every_field_a_rule_may_name_once() -> None:
    assert sorted(feature.name for feature in REGISTRY) == sorted(RuleField)
    assert all(feature.doc for feature in REGISTRY)


@CALM
@given(profiles, st.sampled_from((AIM, PreparedTarget(Target()))))
def test_any_profile_has_a_vector_of_the_promised_types(profile: Any, aim: PreparedTarget) -> None:
    vector = compute_vector(profile, aim)

    for feature in REGISTRY:
        if feature.name.value in vector:
            value = vector[feature.name.value]
            assert isinstance(value, KINDS[feature.kind])
            assert isinstance(value, bool) is (feature.kind is FieldKind.FLAG)


@CALM
@given(profiles)
def test_a_vector_comes_back_from_its_canonical_form_with_the_same_hash(profile: Any) -> None:
    vector = compute_vector(profile, AIM)
    encoded = canonical_json(vector)

    again = msgspec.json.decode(encoded, type=Vector)

    assert again == vector
    assert vector_hash(canonical_json(again)) == vector_hash(encoded)


def test_the_order_of_values_does_not_change_the_hash() -> None:
    one = a_profile(title="COO", country="DE", company_size=80)
    other = a_profile(company_size=80, country="DE", title="COO")

    hashes = {vector_hash(canonical_json(compute_vector(lead, AIM))) for lead in (one, other)}

    assert len(hashes) == 1


@pytest.mark.parametrize(
    ("given_values", "feature", "expected"),
    [
        ({"title": "Vice President Operations"}, "title_matches", True),
        ({"title": "CFO"}, "title_matches", False),
        ({}, "title_matches", None),
        ({"title": "COO"}, "seniority_rank", 8),
        ({"company_size": 50}, "company_size_in_range", True),
        ({"company_size": "501"}, "company_size_in_range", False),
        ({"company_industry": "Logistics & Supply Chain"}, "industry_matches", True),
        ({"company_industry": "Food"}, "industry_matches", False),
        ({"company_country": "AT"}, "country_matches", True),
        ({"country": "US", "company_country": "AT"}, "country_matches", False),
        ({"company_technologies": ("sap", "React")}, "technology_match_count", 1),
        ({"company_technologies": ("React",)}, "technology_match_ratio", 0.0),
        ({}, "technology_match_count", None),
        ({"email": "a@b.example"}, "has_email", True),
        ({"email": "a@b.example", "email_status": "valid"}, "email_verified", True),
        ({"email": "a@b.example", "email_status": "catch_all"}, "email_verified", False),
        ({"email_status": "valid"}, "email_verified", False),
        ({"email": "Mira@GMAIL.com"}, "email_is_freemail", True),
        ({"email": "info@b.example"}, "email_is_role", True),
        ({"email": "a@mail.b.example", "company_domain": "b.example"}, "email_fits_company", True),
        ({"email": "a@c.example", "company_domain": "b.example"}, "email_fits_company", False),
        ({"company_founded": 2010}, "company_age_years", 16),
        ({"company_founded": 3010}, "company_age_years", None),
        ({"phone": "+4930123456 ext. 12"}, "has_phone", True),
        ({"mobile_phone": "+491711234567"}, "has_phone", True),
        ({"phone": "030 123456"}, "has_phone", False),
        ({}, "completeness_ratio", 0.0),
        ({}, "confidence_mean", None),
        ({"title": "COO", "company_size": 7}, "source_count", 2),
    ],
)
def test_features_mean_what_their_names_say(
    given_values: dict[str, Any], feature: str, expected: Any
) -> None:
    assert compute_vector(a_profile(**given_values), AIM).get(feature) == expected
