import pytest
from leadflood.contracts.normalization.seniority import RANKS, read_level


@pytest.mark.parametrize(
    ("text", "level"),
    [("C-Level", "c_suite"), ("VP", "vp"), ("vice_president", "vp"), ("Junior", "entry")],
)
def test_a_level_is_read_as_providers_call_it(text: str, level: str) -> None:
    assert read_level(text) == level


def test_a_level_is_read_as_itself_and_others_are_none() -> None:
    assert [read_level(level) for level in RANKS] == list(RANKS)
    assert read_level("boss") is None
