# ruff: noqa: RUF001 - letters of other scripts are what is tested
import codecs
import io

import pytest
from leadflood.contracts.values import FieldName
from leadflood.domain.imports.rules.encoding import detect_encoding
from leadflood.domain.imports.rules.whole_file import read_csv
from leadflood.engine.errors import Invalid


def decode(raw: bytes) -> str:
    codec = detect_encoding(io.BytesIO(raw)).codec
    return io.TextIOWrapper(io.BytesIO(raw), codec, "replace", newline="").read()


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


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Name,Email\nRenée,r@x.com\n", "latin-1"),
        ("Name\nZoë\n", "latin-1"),
        ("Name,City\nJosé,São Paulo\n", "latin-1"),
        ("Name,City\nO\u2019Brien,Cork\n\u201cAcme\u201d,€ 5\n", "cp1252"),
        ("Name,City\nJürgen MÜLLER,Köln\n", "mac_roman"),
        ("Name,City\nJürgen Jörg,Köln\n", "cp850"),
        ("Name,Email\nWałęsa,x@y.com\n", "cp1250"),
        ("Name,Email\nDvořák,x@y.com\n", "cp1250"),
        ("Name,Email\nErdős,x@y.hu\n", "cp1250"),
        ("Name,Email\nAyşe Yılmaz,x@y.com\n", "cp1254"),
        ("Name,Email\nÁgúst Þór,x@y.is\n", "cp1252"),
        ("Name,Email\nАнна,x@y.com\n", "cp1251"),
        ("Name,Email\nИван Петров,x@y.ru\n", "koi8-r"),
        ("Name,Email\nΓιώργος Παπαδόπουλος,x@y.com\n", "cp1253"),
        ("שם,חברה\nדוד כהן,א\n", "cp1255"),
        ("名前,会社名\n山田 太郎,株式会社A\n", "cp932"),
        ("名前,メール,会社名\n山田 太郎,x@y.com,株式会社A\n", "euc_jp"),
        ("Name\n联通\n", "gb18030"),
        ("姓名,公司\n王小明,台灣積體電路\n", "big5"),
        ("이름,회사\n김철수,삼성전자\n", "cp949"),
        ("Name,Email\nZoë,a@b.com\n", "utf-16-le"),
        ("姓名,公司,email\n王小明,台灣積體電路,a@b.com\n", "utf-16-be"),
        ("姓名,公司,email\n王小明,台灣積體電路,a@b.com\n", "utf-32-le"),
        ("Name,Email\rZoë,a@b.com\r", "latin-1"),
    ],
)
def test_a_few_words_are_enough(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize(
    "start", [b"", codecs.BOM_UTF8, codecs.BOM_UTF8 * 2], ids=["no BOM", "BOM", "two BOMs"]
)
def test_lines_of_another_encoding_are_read_in_it(start: bytes) -> None:
    raw = start + "name\nŁódź\n".encode() + "Dvořák\nJiří\n".encode("cp1250") + "Zoë\n".encode()

    warnings = detect_encoding(io.BytesIO(raw)).warnings

    assert decode(raw).lstrip("\ufeff") == "name\nŁódź\nDvořák\nJiří\nZoë\n"
    assert warnings == ("2 places are no UTF-8 as the rest is: they were read as cp1250",)


@pytest.mark.parametrize(
    "raw",
    [
        b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4,
        b"GIF89a\x01\x00\x01\x00" + bytes(200),
        b"\x7fELF" + bytes(500),
    ],
)
def test_what_is_no_text_is_refused(raw: bytes) -> None:
    with pytest.raises(Invalid) as refused:
        detect_encoding(io.BytesIO(raw))

    assert refused.value.error_code == "leads.csv.foreign"
