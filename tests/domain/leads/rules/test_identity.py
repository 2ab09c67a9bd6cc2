from hypothesis import given, strategies as st
from leadflood.contracts.values import FieldName
from leadflood.domain.leads.rules.identity import identity_keys, provider_key
from leadflood.domain.leads.schemas.identity import MAX_KEY, IdentityKey
from tests.domain.leads.people import a_value, values_of


def kinds(**given: str) -> set[str]:
    return {key.kind for key in identity_keys(values_of(**given))}


def test_a_person_is_known_by_address_profile_and_name_at_a_company() -> None:
    keys = identity_keys(
        values_of(
            email="Ann@Acme.de",
            linkedin_url="linkedin.com/in/Ann",
            first_name="Ánn",
            last_name="Lee",
            company_domain="www.acme.de",
        )
    )

    assert keys == (
        IdentityKey("email", "ann@acme.de"),
        IdentityKey("linkedin", "https://www.linkedin.com/in/ann"),
        IdentityKey("name_domain", "ann lee|acme.de"),
    )


def test_half_a_name_or_free_mail_tells_nobody() -> None:
    assert kinds(first_name="Ann", company_domain="acme.de") == set()
    assert kinds(full_name="Ann", company_domain="acme.de") == set()
    assert kinds(full_name="Ann Lee", company_domain="gmail.com") == set()
    assert kinds(phone="+4930123456") == set()


def test_a_company_without_a_person_is_known_by_its_domain() -> None:
    assert kinds(company_domain="acme.de", company_name="Acme") == {"company"}


def test_a_guess_tells_nobody() -> None:
    guess = a_value(FieldName.EMAIL, "ann@acme.de", confidence=0.3)

    assert identity_keys([guess]) == ()


@given(st.text(max_size=600))
def test_a_key_can_always_be_stored(text: str) -> None:
    keys = [*identity_keys(values_of(email=text, linkedin_url=text, full_name=text))]
    keys += filter(None, [provider_key("apollo", text)])

    for key in keys:
        assert 0 < len(key.value) <= MAX_KEY
        assert "\x00" not in key.value
        key.value.encode()
