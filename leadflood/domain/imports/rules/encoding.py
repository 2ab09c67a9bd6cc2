"""Encoding detection: a byte order mark, valid UTF-8, or old encodings by the letters they give.

A file that is partly UTF-8 and partly not, put together from several, is read line by line.
"""

import codecs
import re
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from leadflood.domain.imports.rules.file_kind import HEAD_BYTES, require_printable
from leadflood.domain.imports.rules.line_decoder import mixed_codec
from leadflood.domain.imports.rules.old_encodings import guess_old_encoding

BLOCK_BYTES = 1_000_000
_MAX_LINE_BYTES = 4_000_000
_SAMPLE_LINES = 2_000
_SAMPLE_BYTES = 400_000
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LINE_ENDS = re.compile(rb"[\r\n]+")
_SIGNS_OF_TABLE = frozenset("\r\n,;\t|")
_CONTINUED, _CONTINUED_MASK = 0x80, 0xC0
"""How each byte of a character in UTF-8 begins but the first."""
_MIXED_SHARE = 0.2
"""Lines of an East Asian encoding that look like UTF-8 are fewer."""
_EAST_ASIAN = frozenset({"cp932", "euc_jp", "gb18030", "big5", "cp949"})
_WINDOWS_NAMES = {"cp1252": "Windows-1252"}


class Encoding(msgspec.Struct, frozen=True):
    """How bytes become text.

    - `name`: as it is shown.
    - `codec`: as Python calls it.
    - `warnings`: what was guessed and may be wrong.
    """

    name: str
    codec: str
    warnings: tuple[str, ...] = ()


def detect_encoding(file: BinaryIO) -> Encoding:
    """Return the encoding of a file of text, reading all of it. Raises: Invalid for no text."""
    file.seek(0)
    head = file.read(HEAD_BYTES)
    for bom, name in _BOMS:
        if head.startswith(bom):
            return _detect_in_lines(file, name) if name == "utf-8-sig" else Encoding(name, name)
    wide = _detect_wide(head)
    if wide is not None:
        return Encoding(wide, wide)
    require_printable(head)
    return _detect_in_lines(file, "utf-8")


def _detect_wide(head: bytes) -> str | None:
    """Return UTF-32 or UTF-16 without its mark: where the NULs stand tells which."""
    if head.count(0) <= len(head) // 10:
        return None
    zeros = [head[offset::4].count(0) for offset in range(4)]
    most = 0.9 * (len(head) // 4)
    if min(zeros[2:]) > most:
        name = "utf-32-le"
    elif min(zeros[:2]) > most:
        name = "utf-32-be"
    else:
        name = "utf-16-be" if zeros[0] + zeros[2] > zeros[1] + zeros[3] else "utf-16-le"
    text = head.decode(name, "replace")
    is_text = (
        _SIGNS_OF_TABLE & set(text) and text.count("\0") + text.count("\ufffd") < len(text) // 10
    )
    return name if is_text else None


def _detect_in_lines(file: BinaryIO, utf8_name: str) -> Encoding:
    """Look for lines that are no UTF-8, and weigh them against those that are."""
    valid_count = invalid_count = sample_bytes = 0
    sample: list[bytes] = []
    for line in _list_special_lines(file):
        if _is_utf8(line):
            valid_count += 1
            continue
        invalid_count += 1
        if len(sample) < _SAMPLE_LINES and sample_bytes < _SAMPLE_BYTES:
            sample.append(line)
            sample_bytes += len(line)
    if not invalid_count:
        return Encoding(utf8_name, utf8_name)
    old = guess_old_encoding(sample)
    is_mixed = valid_count > 0 and (
        old not in _EAST_ASIAN or valid_count > _MIXED_SHARE * (valid_count + invalid_count)
    )
    shown = _WINDOWS_NAMES.get(old, old)
    if is_mixed or utf8_name == "utf-8-sig":
        warning = f"{invalid_count} places are no UTF-8 as the rest is: they were read as {shown}"
        return Encoding(utf8_name, mixed_codec(old), (warning,))
    warning = f"the encoding is not said; read as {shown}: look at the samples, or save as UTF-8"
    return Encoding(old, old, (warning,))


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _list_special_lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines that are not ASCII; an endless one in parts."""
    file.seek(0)
    rest = b""
    while block := file.read(BLOCK_BYTES):
        block = rest + block
        cut = max(block.rfind(b"\n"), block.rfind(b"\r")) + 1
        if not cut and len(block) > _MAX_LINE_BYTES:
            cut = _end_of_characters(block)
        rest = block[cut:]
        yield from _split_special(block[:cut])
    yield from _split_special(rest)


def _split_special(block: bytes) -> Iterator[bytes]:
    if not block.isascii():
        yield from (line for line in _LINE_ENDS.split(block) if not line.isascii())


def _end_of_characters(block: bytes) -> int:
    """Return where the last character that is complete in UTF-8 ends."""
    end = len(block)
    while end > len(block) - 4 and block[end - 1] & _CONTINUED_MASK == _CONTINUED:
        end -= 1
    return end - 1
