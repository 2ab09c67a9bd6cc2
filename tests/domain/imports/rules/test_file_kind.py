import io

import pytest
from leadflood.domain.imports.rules.file_kind import FileKind, find_kind
from leadflood.engine.errors import Invalid
from tests.support.workbooks import make_ods, make_xlsx, make_zip


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (b"\x89PNG\r\n\x1a\n", "a picture"),
        (b"\xff\xd8\xff\xe0", "a picture"),
        (b"%PDF-1.7", "a PDF"),
        (b"\x1f\x8b\x08", "a packed file"),
        (b'[{"email": "a@b.com"}]', "JSON"),
        (b'\xef\xbb\xbf{\n  "leads": []}', "JSON"),
        (b'{"email": "a@b.com"}\n{"email": "c@d.com"}\n', "JSON"),
        (b"\n<!DOCTYPE html><html><table>", "a web page"),
        (b"<html xmlns:x='urn:schemas-microsoft-com:office:excel'><table>", "a web page"),
        (b'<?xml version="1.0"?><Workbook>', "XML"),
        (b"BEGIN:VCARD\nVERSION:3.0", "contact cards"),
        (b"{\\rtf1\\ansi", "a text document"),
        (make_zip({"word/document.xml": b""}), "a document"),
        (make_zip({"Index/Document.iwa": b""}), "a file of Apple Numbers"),
    ],
)
def test_what_is_no_table_is_named(raw: bytes, what: str) -> None:
    with pytest.raises(Invalid) as refused:
        find_kind(io.BytesIO(raw))

    assert refused.value.error_code == "leads.csv.foreign"
    assert what in refused.value.detail


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"Email,Name\n", FileKind.CSV),
        (b"[Email],[Name]\na@b.com,Ada\n", FileKind.CSV),
        (b"<name>;<email>\n", FileKind.CSV),
        (b"{id},email\n", FileKind.CSV),
        (b"", FileKind.CSV),
        (make_xlsx({"S": [["Email"]]}), FileKind.XLSX),
        (make_ods([["Email"]]), FileKind.ODS),
        (make_zip({"a.csv": b""}), FileKind.PACKED),
    ],
)
def test_a_file_is_what_its_bytes_say(raw: bytes, kind: FileKind) -> None:
    assert find_kind(io.BytesIO(raw)) is kind
