import json
from pathlib import Path

import msgspec
import pytest
from jinja2 import TemplateError
from leadflood.contracts.ports.text import Draft, DraftRequest, NumberedFact
from leadflood.contracts.values import Channel
from leadflood.domain.drafting.rules.limits import check_limits
from leadflood.domain.drafting.rules.templates import (
    FIRST_TOUCH,
    MissingValue,
    check_template,
    default_template,
    draft_from_template,
    render,
)
from leadflood.domain.drafting.schemas import Settings, Template

REQUEST = DraftRequest(
    subject_id="lead",
    channel=Channel.EMAIL,
    facts=(
        NumberedFact(1, "first_name", "Ada"),
        NumberedFact(2, "title", "Head of Logistics"),
        NumberedFact(3, "company_name", "Acme Freight"),
    ),
    offer="We help freight teams plan routes 30% faster.",
    sender_name="Grace Sample",
)
BLNS = Path(__file__).with_name("blns.json")  # minimaxir/big-list-of-naughty-strings, MIT
NAUGHTY = ["{{ 7*7 }}", "{% for x in () %}", "{{ ''.__class__ }}", "${7*7}", "%s", "{#", "\x00"]


def naughty_strings() -> list[str]:
    listed = [*json.loads(BLNS.read_text("utf-8")), *NAUGHTY]
    return [text for text in listed if text.strip()]


def draft(request: DraftRequest, template: Template = FIRST_TOUCH) -> Draft | MissingValue:
    return draft_from_template(template, request)


def test_the_default_text_is_filled_from_facts_and_keeps_the_limits() -> None:
    drafted = draft(REQUEST)

    assert isinstance(drafted, Draft)
    assert drafted.subject == "A question about Acme Freight"
    assert "You work as Head of Logistics at Acme Freight." in drafted.body
    assert drafted.body.endswith("Grace Sample")
    assert drafted.writer == "template:first_touch:1"
    assert check_limits(REQUEST, drafted) == ()


def test_an_unknown_title_is_left_out_but_a_name_is_needed() -> None:
    without_title = msgspec.structs.replace(REQUEST, facts=(REQUEST.facts[0], REQUEST.facts[2]))
    without_name = msgspec.structs.replace(REQUEST, facts=REQUEST.facts[1:])

    drafted, missing = draft(without_title), draft(without_name)

    assert isinstance(drafted, Draft)
    assert "You work at Acme Freight." in drafted.body
    assert missing == MissingValue("value:first_name")


@pytest.mark.parametrize("field", ["offer", "sender_name"])
def test_a_blank_merge_value_counts_as_missing(field: str) -> None:
    assert draft(msgspec.structs.replace(REQUEST, **{field: "  "})) == MissingValue(
        f"value:{field}"
    )


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ first_name.__class__ }}",
        "{{ first_name",
        "{% include 'x' %}",
        "{{ 1 // 0 }}",
        "{{ first_name + 1 }}",
        "{{ nobody.knows }}",
    ],
)
def test_a_template_that_breaks_or_breaks_out_gives_a_reason(source: str) -> None:
    template = msgspec.structs.replace(FIRST_TOUCH, body=source)

    assert isinstance(draft(REQUEST, template), MissingValue)


def test_every_naughty_string_comes_out_of_a_template_as_it_went_in() -> None:
    for text in naughty_strings():
        assert render("<{{ first_name }}>", {"first_name": text}) == f"<{text}>"


def test_a_text_of_naughty_strings_is_checked_and_never_breaks() -> None:
    for text in naughty_strings():
        facts = (NumberedFact(1, "first_name", text), *REQUEST.facts[1:])
        request = msgspec.structs.replace(REQUEST, facts=facts)

        drafted = draft_from_template(FIRST_TOUCH, request)

        assert isinstance(drafted, Draft)
        assert text.strip() in drafted.body
        faults = {problem.code for problem in check_limits(request, drafted)}
        if "{{" in text or "{%" in text:
            assert "text.placeholder" in faults
        if "<script" in text.casefold():
            assert "text.markup" in faults


def test_the_parameters_of_whatsapp_come_from_the_settings() -> None:
    with_whatsapp = Settings(
        whatsapp_template_id="17", whatsapp_placeholders=("first_name", "offer")
    )
    template = default_template(Channel.WHATSAPP, with_whatsapp)
    request = msgspec.structs.replace(
        REQUEST, channel=Channel.WHATSAPP, placeholders=("first_name", "offer")
    )

    assert template is not None
    drafted = draft(request, template)

    assert isinstance(drafted, Draft)
    assert drafted.parameters == ("Ada", "We help freight teams plan routes 30% faster.")
    assert check_limits(request, drafted) == ()
    assert default_template(Channel.WHATSAPP, Settings()) is None
    assert default_template(Channel.SMS, with_whatsapp) is None


def test_a_text_is_compiled_once() -> None:
    with pytest.raises(TemplateError):
        render("{{ missing }}", {})

    assert render("{{ missing }}", {"missing": "here"}) == "here"


def test_a_broken_or_blank_template_is_refused_before_it_is_kept() -> None:
    broken = msgspec.structs.replace(FIRST_TOUCH, subject=" ", body="{{ first_name")
    whatsapp = Template(name="x", version=1, channel=Channel.WHATSAPP, placeholders=("one",))

    assert check_template(FIRST_TOUCH) == ()
    assert [problem.path for problem in check_template(broken)] == ["body", "subject"]
    assert [problem.path for problem in check_template(whatsapp)] == [
        "whatsappTemplateId",
        "parameters",
    ]


@pytest.mark.parametrize("field", ["name", "language"])
def test_a_name_with_what_nobody_sees_is_refused(field: str) -> None:
    template = msgspec.structs.replace(FIRST_TOUCH, **{field: "a\x00b"})

    assert [problem.path for problem in check_template(template)] == [field]
