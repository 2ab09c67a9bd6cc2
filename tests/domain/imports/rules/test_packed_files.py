import io
import zipfile

import pytest
from leadflood.domain.imports.rules import packed_files
from leadflood.domain.imports.rules.packed_files import list_members, open_only_member
from leadflood.engine.errors import Invalid
from tests.support.workbooks import make_zip


def code_of(raw: bytes) -> str:
    with pytest.raises(Invalid) as refused, open_only_member(io.BytesIO(raw)):
        pass
    return refused.value.error_code


def test_the_one_file_of_a_zip_is_unpacked() -> None:
    raw = make_zip({"leads/a.csv": b"email\n", "leads/.DS_Store": b"x", "__MACOSX/a.csv": b"y"})

    with open_only_member(io.BytesIO(raw)) as file:
        file.seek(0)
        assert file.read() == b"email\n"


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (make_zip({"a.csv": b"1", "b.csv": b"2"}), "leads.zip.files"),
        (make_zip({}), "leads.zip.files"),
        (make_zip({"a.csv": b"email\n" * 99})[:80], "leads.zip.broken"),
        (b"PK\x03\x04" + bytes(500), "leads.zip.broken"),
        (make_zip({"a.csv": bytes(150_000_000)}), "leads.workbook.too_large"),
    ],
    # the bytes of a zip hold the time at which it was packed
    ids=["two files", "no file", "cut off", "no zip", "too large"],
)
def test_a_zip_that_is_no_one_file_is_refused(raw: bytes, code: str) -> None:
    assert code_of(raw) == code


def test_a_zip_that_lies_about_its_size_is_broken() -> None:
    raw = bytearray(make_zip({"a.csv": b"email\n" * 1_000}))
    at = raw.rindex(b"PK\x01\x02") + 24
    raw[at : at + 4] = (50).to_bytes(4, "little")

    assert code_of(bytes(raw)) == "leads.zip.broken"


def test_a_zip_of_very_many_parts_is_not_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed_files, "MAX_DIRECTORY_BYTES", 1_000)
    raw = make_zip({f"{number}.csv": b"" for number in range(100)})

    with pytest.raises(Invalid) as refused:
        list_members(io.BytesIO(raw))

    assert refused.value.error_code == "leads.workbook.too_large"


def test_an_encrypted_zip_is_named() -> None:
    raw = bytearray(make_zip({"a.csv": b"email\n"}))
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        assert archive.infolist()
    raw[raw.rindex(b"PK\x01\x02") + 8] |= 1

    assert code_of(bytes(raw)) == "leads.zip.encrypted"
