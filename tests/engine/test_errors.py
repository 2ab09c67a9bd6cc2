from leadflood.engine.errors import FieldProblem, Invalid

PROBLEMS = (FieldProblem("email", "is empty"), FieldProblem("name", "is too long"))


def test_a_refused_field_is_named_in_the_text_and_beside_it() -> None:
    refused = Invalid.field("email", "is empty", code="leads.email")

    assert refused.detail == str(refused) == "email: is empty"
    assert refused.fields == PROBLEMS[:1]
    assert refused.error_code == "leads.email"


def test_a_refused_field_may_say_more_in_its_text() -> None:
    refused = Invalid.field("email", "is empty", detail="no mail can go there")

    assert refused.detail == "no mail can go there"
    assert refused.fields == PROBLEMS[:1]
    assert refused.error_code == Invalid.code


def test_several_refused_fields_are_named_after_what_they_are_of() -> None:
    refused = Invalid.of(PROBLEMS, prefix="settings", code="settings.invalid")

    assert refused.detail == "settings: email: is empty; name: is too long"
    assert refused.fields == PROBLEMS
    assert refused.error_code == "settings.invalid"
    assert Invalid.of(iter(PROBLEMS)).detail == "email: is empty; name: is too long"


def test_a_text_names_as_many_fields_as_it_is_told_and_carries_all() -> None:
    refused = Invalid.of(PROBLEMS, most_named=1)

    assert refused.detail == "email: is empty"
    assert refused.fields == PROBLEMS
