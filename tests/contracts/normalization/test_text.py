from hypothesis import given, strategies as st
from leadflood.contracts.normalization.text import name_key


@given(st.text(max_size=40))
def test_a_folded_name_stays_folded(name: str) -> None:
    assert name_key(name_key(name)) == name_key(name)


def test_names_fold_across_accents_case_and_marks() -> None:
    assert name_key("José  O'Brien-Müller") == name_key("JOSE o brien muller")
