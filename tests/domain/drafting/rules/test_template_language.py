"""What a template may say: nobody decides by one how long this process works."""

import time

import pytest
from leadflood.domain.drafting.rules.template_language import (
    KEPT,
    MAX_TAGS,
    RefusedTemplate,
    compile_text,
    list_names,
)

ALLOWED = [
    ("{{ title if title is defined else 'you' }}", {}, "you"),
    ("{{ title | default('boss') | upper }}", {}, "BOSS"),
    (
        "{% if title is defined and title != 'COO' %}a{% elif offer is undefined %}b{% endif %}",
        {},
        "b",
    ),
    ("{% if not title %}a{% else %}{{ title|trim }}{% endif %}{# why #}", {"title": " x "}, "x"),
    ("100 % { } {} $", {}, "100 % { } {} $"),
]
REFUSED = [
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "{% set x = 'a' * 50000000 %}{{ x | length }}",
    "{{ 7 ** 1000000 % 7 }}",
    "{{ 10 ** 5000 }}",
    "{{ '%0200000000d' | format(1) }}",
    "{{ 'a' | center(10 ** 13) }}",
    "{{ lipsum(n=3000) }}",
    "{{ cycler() }}",
    "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
    "{% include 'x' %}",
    "{% import 'x' as y %}",
    "{% extends 'x' %}",
    "{% block x %}{% endblock %}",
    "{{ title.upper() }}",
    "{{ title.__class__ }}",
    "{{ title['a'] }}",
    "{{ title ~ offer }}",
    "{{ title | map('upper') }}",
    "{{ title is mapping }}",
    "{{ title",
    "{{ " + "(" * 140 + "1" + ")" * 140 + " }}",
    "{{ " + "-" * 5_000 + "1 }}",
    "{% if title %}" * 400 + "{% endif %}" * 400,
    "{% if title %}" * 40 + "{% endif %}" * 40,
    "{{ title" + " | upper" * 1_500 + " }}",
    "{{ title }}" * (MAX_TAGS + 1),
    '{{ "\\ud800" }}',
    "a\x00b",
    "\ud800",
]


@pytest.mark.parametrize(("source", "values", "text"), ALLOWED)
def test_merge_fields_conditions_and_filters_are_allowed(
    source: str, values: dict[str, str], text: str
) -> None:
    assert compile_text(source).render(values) == text


@pytest.mark.parametrize("source", REFUSED)
def test_what_can_work_for_ever_or_break_is_refused_at_once(source: str) -> None:
    began = time.process_time()

    for check in (list_names, compile_text):
        with pytest.raises(RefusedTemplate):
            check(source)

    assert time.process_time() - began < 1.0


def test_names_are_listed_and_only_the_last_texts_stay_compiled() -> None:
    assert list_names("{{ title }} {% if offer is defined %}{{ offer }}{% endif %}") == {
        "title",
        "offer",
    }
    for number in range(KEPT + 50):
        compile_text(f"{number} {{{{ title }}}}")

    assert compile_text.cache_info().currsize == KEPT
