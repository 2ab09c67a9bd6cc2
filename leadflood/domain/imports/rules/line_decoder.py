"""Line decoder: a codec that reads each line as UTF-8, or else in an old encoding.

`open(path, encoding=mixed_codec("cp1252"))` reads a file that was put together from several.
"""

import codecs
import re
from functools import lru_cache, partial

from typing_extensions import Buffer, override

_PREFIX = "leadflood_lines_"
_MAX_HELD_BYTES = 1_500_000
"""Of a line without an end so much is held before it is decoded in parts."""
_LINE_ENDS = re.compile(rb"\r\n|\r|\n")


def mixed_codec(old: str) -> str:
    """Return the name of the codec that reads lines which are no UTF-8 as `old`."""
    return f"{_PREFIX}{old}"


class _LineDecoder(codecs.BufferedIncrementalDecoder):
    """Decodes whole lines; the last one waits for its end."""

    def __init__(self, errors: str = "strict", *, old: str) -> None:
        super().__init__(errors)
        self.old = old

    @override
    def _buffer_decode(self, input: Buffer, errors: str, final: bool) -> tuple[str, int]:
        """Return the text of the complete lines, and how many bytes these are."""
        data = bytes(input)
        end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        if final or len(data) > _MAX_HELD_BYTES:
            end = len(data)
        return "".join(self._decode_lines(data[:end])), end

    def _decode_lines(self, block: bytes) -> list[str]:
        if block.isascii():
            return [block.decode("ascii")]
        texts = []
        start = 0
        for match in _LINE_ENDS.finditer(block):
            texts.append(_decode_line(block[start : match.end()], self.old))
            start = match.end()
        texts.append(_decode_line(block[start:], self.old))
        return texts


def _decode_line(line: bytes, old: str) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode(old, "replace")


@lru_cache(maxsize=64)
def _find_codec(name: str) -> codecs.CodecInfo | None:
    if not name.startswith(_PREFIX):
        return None
    old = name.removeprefix(_PREFIX)
    utf8 = codecs.lookup("utf-8")
    return codecs.CodecInfo(
        utf8.encode,
        utf8.decode,
        incrementalencoder=utf8.incrementalencoder,
        incrementaldecoder=partial(_LineDecoder, old=old),
        name=name,
    )


codecs.register(_find_codec)
