import pytest
from leadflood.contracts.normalization.no_values import is_no_value, may_be_name
from leadflood.contracts.values import FieldName


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "-",
            "--",
            "\u2013",
            "\u2014",
            "?",
            "???",
            "…",
            ".",
            "*",
            "N/A",
            "n / a",
            "NA",
            "n.a.",
        ),
        *(
            "null",
            "NULL",
            "<null>",
            "(none)",
            "[blank]",
            '"n/a"',
            "None",
            "nil",
            "NaN",
            "undefined",
        ),
        *("unknown", "Unknown ", "tbd", "TBA", "test", "Test Test", "asdf", "xxx", "XXXXX"),
        *("select", "-- Select --", "please select", "--None--", "Bitte wählen"),
        *("#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NULL!", "#NV", "#WERT!"),
        *("0000-00-00", "00/00/0000", "0000-00-00 00:00:00", "00.00.0000", "0/0/0"),
        *("keine Angabe", "k.A.", "k. A.", "s/o", "néant", "Non renseigné", "n.b.", "sin datos"),
        *("não informado", "sconosciuto", "nvt", "n.v.t.", "okänd", "ukendt", "brak danych"),
        *("neuvedeno", "nincs adat", "nepoznato", "нет", "н/д", "немає", "άγνωστο", "yok"),
        *("不明", "なし", "无", "未知", "없음", "لا يوجد", "לא ידוע", "अज्ञात", "ไม่มี", "không có"),
        *("\uff2e\uff0f\uff21", "n\u2060/a".replace("\u2060", "")),
    ],
)
def test_what_stands_for_nothing_is_no_value(text: str) -> None:
    assert is_no_value(text)


@pytest.mark.parametrize(
    "text",
    [
        *("Unknown Worlds", "Null & Sons", "Test Manager", "Selecta", "Xx", "0", "0.0", "00000"),
        *(
            "Nanette",
            "Nadia",
            "Nil Yalter",
            "Testa",
            "Nonesuch",
            "2000-00-00",
            "X",
            "Na'vi",
            "Ka Yee",
        ),
    ],
)
def test_what_only_looks_like_it_is_a_value(text: str) -> None:
    assert not is_no_value(text)


def test_a_family_name_may_be_a_word_for_nothing() -> None:
    assert [may_be_name(FieldName.LAST_NAME, name) for name in ("Null", "NULL", "N/A", "Na")] == [
        True,
        False,
        False,
        True,
    ]
    assert not may_be_name(FieldName.FIRST_NAME, "Null")
    assert not may_be_name(FieldName.CITY, "Na")
