from itertools import pairwise

from hypothesis import given, settings, strategies as st
from leadflood.contracts.ports.text import Claim
from leadflood.domain.drafting.rules.citations import find_sentences, find_spans


@given(text=st.text(max_size=200))
@settings(max_examples=150, deadline=None)
def test_sentences_cover_everything_but_white_space(text: str) -> None:
    spans = find_sentences(text)

    covered = "".join(text[start:end] for start, end in spans)
    assert "".join(covered.split()) == "".join(text.split())
    assert all(a_end <= b_start for (_, a_end), (b_start, _) in pairwise(spans))


def test_a_claim_is_found_whatever_the_white_space_between_its_words() -> None:
    text = "Hi Ada,\n\nAs Head of\nLogistics you work."

    spans = find_spans(text, [Claim("As Head of Logistics", (2, 3))])

    assert {number: text[start:end] for number, [(start, end)] in spans.items()} == {
        2: "As Head of\nLogistics",
        3: "As Head of\nLogistics",
    }
