import msgspec
from hypothesis import given, strategies as st
from leadflood.contracts.found_values import FOUND_BY_NAME
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


def test_half_a_name_or_free_mail_tells_nobody_by_itself() -> None:
    assert kinds(first_name="Ann", company_domain="acme.de") == {"part_domain"}
    assert kinds(first_name="Ann", company_name="Acme") == {"part_company"}
    assert kinds(full_name="Ann", company_domain="acme.de") == {"part_domain"}
    assert kinds(full_name="Ann Lee", company_domain="gmail.com") == set()
    assert kinds(phone="+4930123456") == set()
    assert kinds(full_name="山田太郎", company_name="Acme") == {"name_company"}


def test_a_name_beside_a_company_a_phone_or_a_shared_mailbox_is_a_weak_key() -> None:
    named = {"first_name": "Ann", "last_name": "Lee"}

    assert kinds(**named, company_name="Acme") == {"name_company"}
    assert kinds(**named, phone="+491701234567") == {"name_phone"}
    assert kinds(**named, phone="call me") == set()
    assert kinds(**named, email="info@acme.de") == {"name_mailbox", "mailbox"}
    assert not any(key.is_strong for key in identity_keys(values_of(**named, company_name="Acme")))


def test_an_address_is_a_key_as_it_is_written_and_by_its_mailbox() -> None:
    keys = identity_keys(values_of(email="Ada.Berg+fair@googlemail.com"))

    assert {key.value for key in keys} == {"ada.berg+fair@googlemail.com", "adaberg@gmail.com"}
    assert {key.kind for key in keys} == {"email"}


def test_a_name_is_one_key_however_it_is_written() -> None:
    keys = {
        identity_keys(values_of(full_name=name, company_name=company))
        for name, company in (
            ("Ada Berg", "Acme"),
            ("Berg, Ada", "Acme GmbH"),
            ("Dr. Ada Berg", "ACME Gesellschaft mit beschränkter Haftung"),
        )
    }

    assert keys == {(IdentityKey("name_company", "ada berg|acme"),)}


def test_a_page_of_a_company_is_no_key_of_a_person() -> None:
    assert kinds(full_name="Ann Lee", linkedin_url="linkedin.com/company/acme") == set()
    assert kinds(linkedin_url="linkedin.com/pub/ann/1/2/3") == {"linkedin_pub"}
    assert kinds(linkedin_url="linkedin.com/sales/lead/ACwAAB,NAME") == {"linkedin_member"}


def test_an_organisation_is_known_by_its_domain_or_its_name_beside_its_place() -> None:
    assert kinds(company_domain="acme.de", company_name="Acme") == {"company"}
    assert kinds(company_name="Acme", city="Bonn") == {"organisation"}
    assert kinds(company_name="Acme", phone="+4922812345") == {"organisation"}
    assert kinds(company_name="Acme") == set()


def test_what_was_found_by_a_name_proves_no_more_than_the_name() -> None:
    found = msgspec.structs.replace(
        a_value(FieldName.EMAIL, "ann.lee@acme.de"), method=f"email.find{FOUND_BY_NAME}"
    )
    keys = identity_keys([*values_of(full_name="Ann Lee", company_domain="acme.de"), found])

    assert {key.kind for key in keys} == {"name_domain", "name_mailbox", "mailbox"}


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
