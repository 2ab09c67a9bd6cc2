import json

import pytest
from hypothesis import given, settings, strategies as st
from leadflood.contracts.found_values import Scalar
from leadflood.contracts.normalization.cells import read_value
from leadflood.contracts.values import FieldName


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(FieldName),
    st.one_of(
        st.text(max_size=60),
        st.integers(-(10**9), 10**9),
        st.floats(),
        st.booleans(),
        st.lists(st.text(max_size=8), max_size=4).map(tuple),
    ),
)
def test_a_canonical_value_is_canonical_and_storable(field: FieldName, value: Scalar) -> None:
    once = read_value(field, value)

    if once is not None:
        assert read_value(field, once) == once
        json.dumps(once, ensure_ascii=False).encode()
        assert "\\u0000" not in json.dumps(once)


@pytest.mark.parametrize("title", ["Mr.", "Frau", "M.", "Sra.", "Herr Prof. Dr.", "Dhr.", "pani"])
def test_a_form_of_address_is_no_title(title: str) -> None:
    assert read_value(FieldName.TITLE, title) is None
    assert read_value(FieldName.TITLE, f"{title} COO") == f"{title} COO"
