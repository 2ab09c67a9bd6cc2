import msgspec
from leadflood.contracts.values import FieldName
from leadflood.domain.leads.rules.name_parts import DERIVED_CONFIDENCE, with_name_parts
from leadflood.domain.leads.schemas.identity import HUMAN_SOURCE
from tests.domain.leads.people import a_value, values_of


def test_a_whole_name_gives_its_parts_with_less_confidence() -> None:
    (whole,) = values_of(full_name="Dr. Ada Berg")

    values = with_name_parts((whole,))

    assert values[0] is whole
    assert [(value.field, value.value) for value in values[1:]] == [
        (FieldName.FIRST_NAME, "Ada"),
        (FieldName.LAST_NAME, "Berg"),
    ]
    assert {value.confidence for value in values[1:]} == {DERIVED_CONFIDENCE}
    assert {value.evidence_hash for value in values} == {whole.evidence_hash}


def test_a_guessed_name_gives_parts_no_surer_than_itself() -> None:
    guess = a_value("full_name", "Ada Berg", confidence=0.3)

    assert {value.confidence for value in with_name_parts((guess,))} == {0.3}


def test_what_a_source_states_of_the_parts_is_left_alone() -> None:
    stated = values_of(full_name="Ada Berg", first_name="Adda")
    (of_a_person,) = values_of(HUMAN_SOURCE, full_name="Ada Berg")
    mononym = msgspec.structs.replace(of_a_person, source="csv", value="Madonna")

    assert with_name_parts(stated) == stated
    assert with_name_parts((of_a_person,)) == (of_a_person,)
    assert with_name_parts((mononym,)) == (mononym,)
