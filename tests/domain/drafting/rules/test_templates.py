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


def test_an_unknown_title_and_an_unknown_name_are_left_out() -> None:
    without_title = msgspec.structs.replace(REQUEST, facts=(REQUEST.facts[0], REQUEST.facts[2]))
    without_name = msgspec.structs.replace(REQUEST, facts=REQUEST.facts[1:])

    untitled, nameless = draft(without_title), draft(without_name)

    assert isinstance(untitled, Draft)
    assert isinstance(nameless, Draft)
    assert "You work at Acme Freight." in untitled.body
    assert untitled.body.startswith("Hi Ada,\n")
    assert nameless.body.startswith("Hi,\n")


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


@pytest.mark.parametrize(
    ("body", "named", "nameless"),
    [
        ("Hi {{ first_name }},", "Hi Ada,", "Hi,"),
        ("Guten Tag, {{ first_name }}!", "Guten Tag, Ada!", "Guten Tag!"),
        ("Hi {{ first_name | title }},", "Hi Ada,", "Hi,"),
        ("Dear {{ first_name }},", "Dear Ada,", "Hello,"),
        ("DEAR {{ first_name | upper }},\n\nx", "DEAR ADA,\n\nx", "Hello,\n\nx"),
        ("x\n\nDear {{ first_name }} {{ last_name }},", None, "x\n\nHello,"),
        ("Dear Mr./Ms. {{ last_name }},", None, "Hello,"),
        ("Guten Tag Frau Dr. {{ last_name }},", None, "Guten Tag,"),
        ("Sehr geehrter Herr {{ last_name }},", None, "Sehr geehrte Damen und Herren,"),
        ("Sehr geehrte/r {{ full_name }},", None, "Sehr geehrte Damen und Herren,"),
        ("Liebe {{ first_name }},", "Liebe Ada,", "Hallo,"),
        ("Cher Monsieur {{ last_name }},", None, "Bonjour,"),
        ("Chère {{ first_name }},", "Chère Ada,", "Bonjour,"),
        ("Estimada {{ first_name }}:", "Estimada Ada:", "Hola:"),
        ("Gentile {{ first_name }},", "Gentile Ada,", "Buongiorno,"),
        ("Prezada {{ first_name }},", "Prezada Ada,", "Olá,"),
        ("Geachte {{ first_name }},", "Geachte Ada,", "Geachte heer/mevrouw,"),
        ("Szanowna Pani {{ first_name }}!", "Szanowna Pani Ada!", "Dzień dobry!"),
        ("Kære {{ first_name }},", "Kære Ada,", "Hej,"),
        ("Уважаемая {{ first_name }}!", "Уважаемая Ada!", "Здравствуйте!"),
        ("尊敬的{{ first_name }}：", "尊敬的Ada：", "您好："),  # noqa: RUF001 - as it is written
        ("Hola {{ first_name }},", "Hola Ada,", "Hola,"),
        ("Ciao {{ first_name }},", "Ciao Ada,", "Ciao,"),
        ("Olá {{ first_name }},", "Olá Ada,", "Olá,"),
        ("Cześć {{ first_name }},", "Cześć Ada,", "Cześć,"),
        ("{% if title is defined %}Dear {{ first_name }}{% endif %}", "Dear Ada", "Hello"),
        ("Dear {{ full_name }},", None, "Hello,"),
        ("Oh dear {{ first_name }},", None, None),
        ("{{ offer }} dear {{ first_name }},", None, None),
        ("Guten Tag {{ first_name }}!", "Guten Tag Ada!", "Guten Tag!"),
        ("Bonjour {{ first_name }} {{ last_name }},", None, "Bonjour,"),
        ("Good day,\nhello {{ first_name }}.", "Good day,\nhello Ada.", "Good day,\nhello."),
        ("Dear {{ first_name | default('colleague') }},", "Dear Ada,", "Dear colleague,"),
        (
            "{% if first_name is defined %}Dear {{ first_name }}{% else %}Hello{% endif %},",
            "Dear Ada,",
            "Hello,",
        ),
        ("{{ first_name if first_name is defined else 'You' }}: hm", "Ada: hm", "You: hm"),
        ("{% if not first_name is defined %}A{% else %}{{ first_name }}{% endif %}", "Ada", "A"),
        ("{{ first_name }}, a word", None, None),
        ("Oh ship {{ first_name }}", None, None),
        ("{{ first_name | trim | default('x') }}", None, None),
        ("{% if first_name %}x{% endif %}", None, None),
    ],
)
def test_a_text_says_what_stands_where_no_name_is_known(
    body: str, named: str | None, nameless: str | None
) -> None:
    template = msgspec.structs.replace(FIRST_TOUCH, body=body)
    without_name = msgspec.structs.replace(REQUEST, facts=REQUEST.facts[1:])

    problems = check_template(template)

    assert bool(problems) == (nameless is None)
    if nameless is not None:
        assert draft(without_name, template).body == nameless  # type: ignore[union-attr]
    if named is not None:
        assert draft(REQUEST, template).body == named  # type: ignore[union-attr]
    if problems:
        assert (problems[0].path, "is not known" in problems[0].problem) == ("body", True)


@pytest.mark.parametrize(
    ("language", "nameless"), [("pt-BR", "Olá,"), ("it", "Buongiorno,"), ("en", "Buongiorno,")]
)
def test_a_greeting_of_several_languages_is_the_templates(language: str, nameless: str) -> None:
    template = msgspec.structs.replace(
        FIRST_TOUCH, body="Caro {{ first_name }},", language=language
    )
    without_name = msgspec.structs.replace(REQUEST, facts=REQUEST.facts[1:])

    assert draft(without_name, template).body == nameless  # type: ignore[union-attr]


def test_no_mister_is_greeted_by_a_first_name() -> None:
    template = msgspec.structs.replace(
        FIRST_TOUCH, body="Dear Dr. {{ first_name }} {{ last_name }},"
    )

    assert draft(REQUEST, template).body == "Hello,"  # type: ignore[union-attr]


def test_every_built_in_text_has_a_nameless_form() -> None:
    for language in ("en", "de"):
        with_whatsapp = Settings(
            language=language,
            whatsapp_template_id="17",
            whatsapp_placeholders=("first_name", "full_name", "offer"),
        )
        for channel in (Channel.EMAIL, Channel.WHATSAPP):
            template = default_template(channel, with_whatsapp)
            assert template is not None
            assert check_template(template) == ()
            request = msgspec.structs.replace(
                REQUEST,
                channel=channel,
                placeholders=template.placeholders,
                facts=REQUEST.facts[1:],
            )
            assert isinstance(draft(request, template), Draft)


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
