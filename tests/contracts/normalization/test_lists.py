import pytest
from hypothesis import given, strategies as st
from leadflood.contracts.normalization.lists import join_list, split_list

ITEMS = st.lists(st.text(st.sampled_from('ab ",;|\n'), min_size=1).filter(str.strip))


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("React, Node.js;AWS|Go", ("React", "Node.js", "AWS", "Go")),
        ('"Ruby, on Rails", Go', ("Ruby, on Rails", "Go")),
        ('5" disks, "six"" ones"', ('5" disks', 'six" ones')),
        ('"never closed, Go', ('"never closed', "Go")),
        (" , ;", ()),
    ],
)
def test_a_cell_is_split_into_its_items(text: str, items: tuple[str, ...]) -> None:
    assert split_list(text) == items


@given(ITEMS)
def test_a_list_is_read_back(items: list[str]) -> None:
    assert split_list(join_list(items)) == tuple(items)
