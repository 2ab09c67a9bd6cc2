"""Encoding detection: a byte order mark, valid UTF-8, or a guess among the old encodings."""

import codecs
import re
from typing import BinaryIO

import msgspec
from charset_normalizer import from_bytes

from leadflood.engine.errors import Invalid

HEAD_BYTES = 4_096
SAMPLE_BYTES = 200_000
BLOCK_BYTES = 1_000_000
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OLD_ENCODINGS = ["cp1252", "cp1250", "cp1251", "cp932", "gb18030", "big5", "euc_kr", "mac_roman"]
_WORKBOOK = "this is a spreadsheet's own file, not a CSV: save it as CSV UTF-8 first"
_FOREIGN_FORMATS = (
    (b"PK\x03\x04", "leads.csv.workbook", _WORKBOOK),
    (b"PK\x05\x06", "leads.csv.workbook", _WORKBOOK),
    (b"\xd0\xcf\x11\xe0", "leads.csv.workbook", _WORKBOOK),
    (b"%PDF-", "leads.csv.foreign", "this is a PDF, not a CSV: export the table as CSV UTF-8"),
    (b"\x1f\x8b", "leads.csv.foreign", "this is a packed file, not a CSV: unpack it first"),
    (b"7z\xbc\xaf", "leads.csv.foreign", "this is a packed file, not a CSV: unpack it first"),
)
_MIXED = "leadflood.mixed"
_ESCAPED = re.compile("[\udc80-\udcff]")
_NON_ASCII = re.compile("[^\x00-\x7f]")


def _decode_as_windows_1252(error: UnicodeError) -> tuple[str, int]:
    """Read bytes that are no UTF-8 in a UTF-8 file as Windows-1252: text was pasted in."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    invalid = error.object[error.start : error.end]
    return bytes(invalid).decode("cp1252", "replace"), error.end


codecs.register_error(_MIXED, _decode_as_windows_1252)


class Encoding(msgspec.Struct, frozen=True):
    """How bytes become text.

    - `name`: the codec.
    - `errors`: its error handler, for bytes that are not of that encoding.
    - `warnings`: what was guessed and may be wrong.
    """

    name: str
    errors: str = "replace"
    warnings: tuple[str, ...] = ()


def detect_encoding(file: BinaryIO) -> Encoding:
    """Return the encoding of a file, reading all of it. Raises: Invalid when it is no text."""
    file.seek(0)
    head = file.read(HEAD_BYTES)
    for magic, code, problem in _FOREIGN_FORMATS:
        if head.startswith(magic):
            raise Invalid(problem, code=code)
    for bom, name in _BOMS:
        if head.startswith(bom):
            return Encoding(name)
    if head.count(0) > len(head) // 4:
        is_little_endian = head[1::2].count(0) >= head[::2].count(0)
        return Encoding("utf-16-le" if is_little_endian else "utf-16-be")
    return _detect_in_bytes(file)


def _detect_in_bytes(file: BinaryIO) -> Encoding:
    """Decode as UTF-8 and weigh the invalid bytes against the valid non-ASCII characters."""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    invalid_count = non_ascii_count = offset = 0
    first_invalid = None
    file.seek(0)
    while block := file.read(BLOCK_BYTES):
        text = decoder.decode(block)
        escaped_count = len(_ESCAPED.findall(text))
        if escaped_count and first_invalid is None:
            first_invalid = offset
        invalid_count += escaped_count
        non_ascii_count += len(_NON_ASCII.findall(text)) if not text.isascii() else 0
        offset += len(block)
    invalid_count += len(_ESCAPED.findall(decoder.decode(b"", final=True)))
    if not invalid_count:
        return Encoding("utf-8", "strict")
    if non_ascii_count > 2 * invalid_count:
        warning = (
            f"{invalid_count} places are no UTF-8 as the rest is: they were read as Windows-1252"
        )
        return Encoding("utf-8", _MIXED, (warning,))
    return _guess_old_encoding(file, first_invalid or 0)


def _guess_old_encoding(file: BinaryIO, offset: int) -> Encoding:
    file.seek(offset)
    raw = file.read(SAMPLE_BYTES)
    if raw.isascii():
        blocks = iter(lambda: file.read(SAMPLE_BYTES), b"")
        raw = next((block for block in blocks if not block.isascii()), raw)
    best = from_bytes(raw, cp_isolation=_OLD_ENCODINGS).best()
    name = "cp1252"
    if best is not None and raw.decode("cp1252", "replace") != raw.decode(best.encoding, "replace"):
        name = best.encoding
    warning = f"the encoding is not said; read as {name}: look at the samples, or save as UTF-8"
    return Encoding(name, warnings=(warning,))
