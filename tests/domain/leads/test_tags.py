from uuid import UUID

import pytest
from hypothesis import given, strategies as st
from leadflood.domain.leads.schemas import LeadState
from leadflood.domain.leads.tags import MOST_CHARS, canonical_tag
from leadflood.engine.errors import Invalid


@pytest.mark.parametrize(
    ("told", "tag"),
    [("  Hot  Lead ", "hot lead"), ("\uff26AIR", "fair"), ("Straße", "strasse"), ("é", "é")],
)
def test_a_tag_has_one_form(told: str, tag: str) -> None:
    assert canonical_tag(told) == tag


@pytest.mark.parametrize("told", ["", "   ", "a,b", "x" * (MOST_CHARS + 1), "a\x07b", "a\u200bb"])
def test_what_is_no_tag_is_refused(told: str) -> None:
    with pytest.raises(Invalid) as refused:
        canonical_tag(told)

    assert refused.value.fields[0].path == "tag"


@given(st.text(max_size=60))
def test_the_one_form_stays_what_it_is(told: str) -> None:
    try:
        tag = canonical_tag(told)
    except Invalid:
        return

    assert canonical_tag(tag) == tag
    assert 0 < len(tag) <= MOST_CHARS
    assert "\x1f" not in tag


@given(st.lists(st.text(min_size=1, max_size=3)))
def test_tags_are_sorted_and_each_there_once(words: list[str]) -> None:
    tags: tuple[str, ...] = ()
    for word in words:
        tags = LeadState(id=UUID(int=1), version=1, tags=tags).tags_with(word)

    assert tags == tuple(sorted(set(words)))
