import pytest
from hypothesis import given, strategies as st
from leadflood.contracts.addresses import (
    list_domains,
    mask_address,
    normalize_email,
    normalize_phone,
)
from leadflood.engine.errors import Invalid


@pytest.mark.parametrize("written", ["+31620000000", "0031 6 2000 0000", "+31 (6) 2000-0000"])
def test_a_phone_number_has_one_form_however_it_is_written(written: str) -> None:
    assert normalize_phone(written) == "+31620000000"


@pytest.mark.parametrize(
    "address",
    ["", "@", "ada@", "@acme.example", "a b@c.d", "a@b@c", "a@b.c\r\nBcc: x@y.z", "a\x00@b.c"],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(Invalid):
        normalize_email(address)


def test_a_hint_shows_its_owner_just_enough() -> None:
    assert mask_address("ada@acme.example") == "a***@a***.example"
    assert mask_address("+31620000042") == "+31***42"
    assert mask_address("acme.example") == "ac***.example"


@given(st.text(max_size=50))
def test_any_text_can_be_masked_and_searched_for_domains(text: str) -> None:
    assert len(mask_address(text)) <= len(text) + 7
    assert isinstance(list_domains(text), list)
