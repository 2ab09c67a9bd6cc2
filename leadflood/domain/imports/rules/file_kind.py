"""File kind: what a file is by its bytes, whatever its name or its sender says."""

import re
from enum import StrEnum
from typing import BinaryIO

from leadflood.domain.imports.rules.packed_files import list_members
from leadflood.engine.errors import Invalid

HEAD_BYTES = 4_096


class FileKind(StrEnum):
    """The kinds of files that are read; `packed` is a zip with one of the others in it."""

    CSV = "csv"
    XLSX = "xlsx"
    XLSB = "xlsb"
    XLS = "xls"
    ODS = "ods"
    PACKED = "zip"


_CONTROLS = bytes([*range(9), 11, *range(14, 27), *range(28, 32)])
_MOST_CONTROLS = 0.1
"""The part of a text that may be signs which no text has: some files have stray ones."""
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_OLD_OFFICE = b"\xd0\xcf\x11\xe0"
_WORKBOOK_PARTS = {
    "xl/workbook.xml": FileKind.XLSX,
    "xl/workbook.bin": FileKind.XLSB,
    "content.xml": FileKind.ODS,
}
_PICTURE = "this is a picture, not a table: type the table into a sheet, and send that"
_PACKED = "this is a packed file, not a CSV: unpack it first"
_FOREIGN_STARTS = (
    (b"%PDF-", "this is a PDF, not a table: export the table as CSV UTF-8 or XLSX"),
    (b"\x1f\x8b", _PACKED),
    (b"7z\xbc\xaf", _PACKED),
    (b"Rar!", _PACKED),
    (b"BZh", _PACKED),
    (b"\xfd7zXZ", _PACKED),
    (b"\x89PNG", _PICTURE),
    (b"\xff\xd8\xff", _PICTURE),
    (b"GIF8", _PICTURE),
    (b"RIFF", _PICTURE),
    (b"II*\x00", _PICTURE),
    (b"MM\x00*", _PICTURE),
    (b"{\\rtf", "this is a text document, not a table: save its table as CSV UTF-8"),
    (b"BEGIN:VCARD", "these are contact cards (vCard): export the contacts as CSV"),
)
_FOREIGN_TEXTS = (
    (
        re.compile(rb"\s*(?:\[\s*)?\{\s*(?:\"[^\"\r\n]*\"\s*:|\}|\Z)|\s*\[\s*(?:\]|\[|\"|\Z)"),
        "this is JSON, not a table: save it as CSV, or send each lead to POST /v1/leads",
    ),
    (
        re.compile(rb"\s*(?:<!doctype html|<html|<head|<body|<table|<meta)", re.IGNORECASE),
        "this is a web page, whatever its name says: open it, and save its table as XLSX or CSV",
    ),
    (
        re.compile(rb"\s*<\?xml|\s*<[A-Za-z][\w:.-]*[^>]*>\s*<"),
        "this is XML, not a table: open it in a spreadsheet, and save it as XLSX or CSV",
    ),
)
_BOM = b"\xef\xbb\xbf"


def find_kind(file: BinaryIO) -> FileKind:
    """Return the kind of a file. Raises: Invalid, saying what it is, when none of these."""
    file.seek(0)
    head = file.read(HEAD_BYTES)
    if head.startswith(_ZIP):
        return _kind_of_zip(file)
    if head.startswith(_OLD_OFFICE):
        return FileKind.XLS
    for start, problem in _FOREIGN_STARTS:
        if head.startswith(start):
            raise _foreign(problem)
    text = head.removeprefix(_BOM)
    for pattern, problem in _FOREIGN_TEXTS:
        if pattern.match(text):
            raise _foreign(problem)
    return FileKind.CSV


def is_workbook(file: BinaryIO) -> bool:
    """Whether a file may have sheets, by its first bytes."""
    file.seek(0)
    return file.read(len(_OLD_OFFICE)).startswith((*_ZIP, _OLD_OFFICE))


def _kind_of_zip(file: BinaryIO) -> FileKind:
    names = {member.filename for member in list_members(file)}
    for name, kind in _WORKBOOK_PARTS.items():
        if name in names:
            return kind
    if any(name.startswith(("word/", "ppt/")) for name in names):
        raise _foreign("this is a document, not a table: save its table as XLSX or CSV")
    if any(name.endswith(".iwa") for name in names):
        raise _foreign("this is a file of Apple Numbers: export it as XLSX or CSV, and send that")
    return FileKind.PACKED


def require_printable(head: bytes) -> None:
    """Require that bytes may be text in one byte or more a letter. Raises: Invalid."""
    count = len(head) - len(head.translate(None, _CONTROLS))
    if count > _MOST_CONTROLS * len(head):
        raise _foreign("this is no text, so no CSV: export the table as CSV UTF-8, or as XLSX")


def _foreign(problem: str) -> Invalid:
    return Invalid(problem, code="leads.csv.foreign")
