import pytest
from hypothesis import given, strategies as st
from leadflood.contracts.normalization.tags import MOST_TAG_CHARS, normalize_tag
from leadflood.engine.errors import Invalid


@pytest.mark.parametrize(
    ("text", "tag"),
    [("  Hot  Lead ", "hot lead"), ("\uff26AIR", "fair"), ("Straße", "strasse"), ("é", "é")],
)
def test_a_tag_has_one_form(text: str, tag: str) -> None:
    assert normalize_tag(text) == tag


@pytest.mark.parametrize(
    "text", ["", "   ", "a,b", "x" * (MOST_TAG_CHARS + 1), "a\x07b", "a\u200bb"]
)
def test_what_is_no_tag_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        normalize_tag(text)

    assert refused.value.fields[0].path == "tag"


@given(st.text(max_size=60))
def test_the_one_form_stays_what_it_is(text: str) -> None:
    try:
        tag = normalize_tag(text)
    except Invalid:
        return

    assert normalize_tag(tag) == tag
    assert 0 < len(tag) <= MOST_TAG_CHARS
    assert "\x1f" not in tag
