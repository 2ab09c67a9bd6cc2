"""Workbook messages: what the process that reads a workbook says to the one that wants its rows.

Each is MessagePack behind its length in four bytes.
"""

from typing import BinaryIO

import msgspec

_LENGTH_BYTES = 4


class SheetOpened(msgspec.Struct, frozen=True, tag="opened"):
    """The sheet that is read, and the names of all."""

    sheet: str
    sheets: tuple[str, ...]


class SheetRows(msgspec.Struct, frozen=True, tag="rows"):
    """Rows that are not empty, each with its number in the sheet."""

    rows: list[tuple[int, tuple[str, ...]]]


class WorkbookRefused(msgspec.Struct, frozen=True, tag="refused"):
    """Why the workbook cannot be read."""

    code: str
    detail: str


class SheetEnded(msgspec.Struct, frozen=True, tag="ended"):
    """All rows were sent."""


Message = SheetOpened | SheetRows | WorkbookRefused | SheetEnded

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Message).decode


def write_message(target: BinaryIO, message: Message) -> None:
    """Write a message."""
    encoded = _encode(message)
    target.write(len(encoded).to_bytes(_LENGTH_BYTES, "big") + encoded)


def read_message(source: BinaryIO) -> Message | None:
    """Read the next message; None: the writer is gone."""
    length = source.read(_LENGTH_BYTES)
    if len(length) < _LENGTH_BYTES:
        return None
    size = int.from_bytes(length, "big")
    encoded = source.read(size)
    return _decode(encoded) if len(encoded) == size else None
