"""Packed files: what a zip holds, and the one table in it, within bounds."""

import shutil
import struct
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO, cast

from leadflood.engine.errors import Invalid

MAX_UNPACKED_BYTES = 1_000_000_000
MAX_DIRECTORY_BYTES = 5_000_000
"""How long the list of a zip's members may be: 10,000 sheets need a fifth of it."""
_MOST_SMALL_BYTES = 100_000_000
_MOST_RATIO = 100
"""What unpacks to more than the bytes above may be so many times as large as it is packed."""
_END = b"PK\x05\x06"
_END_FORMAT = struct.Struct("<4s4H2IH")
_MAX_END_BYTES = _END_FORMAT.size + 65_535
_PIECE_BYTES = 1_000_000
_SHOWN_MEMBERS = 5


def list_members(file: BinaryIO) -> Sequence[zipfile.ZipInfo]:
    """List what a zip holds. Raises: Invalid when it is broken, or unpacks to too much."""
    _require_short_directory(file)
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise _broken() from error
    unpacked = sum(member.file_size for member in members)
    packed = sum(member.compress_size for member in members)
    is_bomb = unpacked > _MOST_SMALL_BYTES and unpacked > _MOST_RATIO * packed
    if is_bomb or unpacked > MAX_UNPACKED_BYTES:
        raise _too_large(unpacked)
    return members


@contextmanager
def open_only_member(file: BinaryIO) -> Iterator[BinaryIO]:
    """Unpack the one file of a zip to disk. Raises: Invalid when there are several, or none."""
    members = [member for member in list_members(file) if _is_content(member)]
    if len(members) != 1:
        shown = ", ".join(repr(member.filename[:80]) for member in members[:_SHOWN_MEMBERS])
        raise Invalid(
            f"the zip holds {len(members)} files ({shown or 'none'}): send the one with the leads",
            code="leads.zip.files",
        )
    if members[0].flag_bits & 1:
        raise Invalid(
            "the zip is encrypted: unpack it, and send the file", code="leads.zip.encrypted"
        )
    with tempfile.TemporaryFile() as target:
        _unpack(file, members[0], cast("BinaryIO", target))
        target.flush()
        yield cast("BinaryIO", target)


def _unpack(file: BinaryIO, member: zipfile.ZipInfo, target: BinaryIO) -> None:
    try:
        with zipfile.ZipFile(file) as archive, archive.open(member) as source:
            shutil.copyfileobj(source, target, _PIECE_BYTES)
    except (zipfile.BadZipFile, NotImplementedError, OSError, EOFError, ValueError) as error:
        raise _broken() from error


def _is_content(member: zipfile.ZipInfo) -> bool:
    name = member.filename.rpartition("/")[2]
    is_hidden = name.startswith(".") or member.filename.startswith("__MACOSX/")
    return not member.is_dir() and not is_hidden


def _require_short_directory(file: BinaryIO) -> None:
    """Require that the list of members is short, before it is read into memory."""
    size = file.seek(0, 2)
    file.seek(max(size - _MAX_END_BYTES, 0))
    tail = file.read()
    at = tail.rfind(_END)
    if at < 0 or len(tail) < at + _END_FORMAT.size:
        raise _broken()
    directory_bytes = _END_FORMAT.unpack_from(tail, at)[5]
    if directory_bytes > MAX_DIRECTORY_BYTES:
        raise Invalid(
            "the file is a zip of very many parts: send the sheet with the leads as CSV UTF-8",
            code="leads.workbook.too_large",
        )


def _broken() -> Invalid:
    return Invalid(
        "the file is a zip, or a workbook, that is cut off or broken: send it again",
        code="leads.zip.broken",
    )


def _too_large(unpacked: int) -> Invalid:
    return Invalid(
        f"the file unpacks to {unpacked / 1e6:,.0f} MB: send the sheet with the leads as CSV UTF-8",
        code="leads.workbook.too_large",
    )
