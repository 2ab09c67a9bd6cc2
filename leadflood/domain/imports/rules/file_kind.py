"""File kind: what a file is by its first bytes, whatever its name or its sender says."""

from typing import BinaryIO

from leadflood.engine.errors import Invalid

HEAD_BYTES = 4_096
_CONTROLS = bytes([*range(9), 11, *range(14, 27), *range(28, 32)])
_MOST_CONTROLS = 0.1
"""The part of a text that may be signs which no text has: some files have stray ones."""
_WORKBOOK = "this is a spreadsheet's own file, not a CSV: save it as CSV UTF-8 first"
_FOREIGN_FORMATS = (
    (b"PK\x03\x04", "leads.csv.workbook", _WORKBOOK),
    (b"PK\x05\x06", "leads.csv.workbook", _WORKBOOK),
    (b"\xd0\xcf\x11\xe0", "leads.csv.workbook", _WORKBOOK),
    (b"%PDF-", "leads.csv.foreign", "this is a PDF, not a CSV: export the table as CSV UTF-8"),
    (b"\x1f\x8b", "leads.csv.foreign", "this is a packed file, not a CSV: unpack it first"),
    (b"7z\xbc\xaf", "leads.csv.foreign", "this is a packed file, not a CSV: unpack it first"),
)


def require_text(file: BinaryIO) -> None:
    """Require that a file may be a table of text. Raises: Invalid, saying what it is."""
    file.seek(0)
    head = file.read(HEAD_BYTES)
    for magic, code, problem in _FOREIGN_FORMATS:
        if head.startswith(magic):
            raise Invalid(problem, code=code)


def require_printable(head: bytes) -> None:
    """Require that bytes may be text in one byte or more a letter. Raises: Invalid."""
    count = len(head) - len(head.translate(None, _CONTROLS))
    if count > _MOST_CONTROLS * len(head):
        raise Invalid(
            "this is no text, so no CSV: export the table as CSV UTF-8, or as XLSX",
            code="leads.csv.foreign",
        )
