import time

import pytest
from leadflood.contracts.patterns import MAX_PATTERN_CHARS, PatternRefused, compile_pattern


@pytest.mark.parametrize(
    ("pattern", "text", "is_in"),
    [
        ("^(vp|head) ", "HEAD of Sales", True),
        ("geschäftsführer", "GESCHÄFTSFÜHRERIN", True),
        ("^vp", "Senior VP", False),
        ("a", "\ud800a", True),
        ("a", 1, False),
    ],
)
def test_it_is_found_anywhere_without_regard_to_case(
    pattern: str,
    text: object,
    is_in: bool,  # noqa: FBT001 - a table
) -> None:
    assert compile_pattern(pattern).is_in_any([text]) is is_in


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(", "mend it"),
        ("(?=a)", "look-around"),
        ("\ud800", "RE2"),
        ("a" * (MAX_PATTERN_CHARS + 1), "split the rule"),
        (r"[\pL]{500}", "too large"),
        (r"[^x]{999}y", "too large"),
    ],
)
def test_what_is_no_pattern_within_the_bounds_is_refused_with_the_way_out(
    pattern: str, reason: str
) -> None:
    with pytest.raises(PatternRefused, match=reason):
        compile_pattern(pattern)


def test_a_pattern_is_refused_within_a_moment() -> None:
    seconds = []
    for _ in range(3):
        began = time.process_time()
        with pytest.raises(PatternRefused):
            compile_pattern(r"[\pL]{500}")
        seconds.append(time.process_time() - began)

    assert min(seconds) < 0.06  # within the memory that RE2 takes by itself, 0.2 s
