import pytest
from leadflood.contracts.values import FieldName
from leadflood.domain.imports.rules.whole_file import read_csv


@pytest.mark.parametrize(
    ("encoding", "detected"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8-sig"),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("utf-32", "utf-32"),
        ("cp1252", "cp1252"),
    ],
)
def test_the_encoding_is_found(encoding: str, detected: str) -> None:
    text = "Vorname;Nachname;E-Mail;Land\r\nJürgen;Müßig;jm@acme.example;Österreich\r\n" * 1
    text += "".join(f"Zoë{n};Größe;z{n}@acme.example;Österreich\r\n" for n in range(20))

    file = read_csv(text.encode(encoding))

    assert file.encoding == detected
    assert file.delimiter == ";"
    assert file.rows[0].values[FieldName.FIRST_NAME] == "Jürgen"
    assert file.rows[0].values[FieldName.COUNTRY] == "AT"
