"""Lists in one cell: items with commas, semicolons, bars or ` ::: ` between, maybe in quotes."""

import re
from collections.abc import Iterable

_ITEM = re.compile(r'\s*"((?:[^"]|"")*)"\s*(?:[,;|]|:::|\Z)|((?:(?!:::)[^,;|])*)(?:[,;|]|:::|\Z)')
_NEEDS_QUOTES = re.compile(r'[,;|]|:::|^\s|\s\Z|^"')


def split_list(text: str) -> tuple[str, ...]:
    """Return the items of a cell that are not empty, in their order."""
    items = (
        match[1].replace('""', '"') if match[1] is not None else match[2].strip()
        for match in _ITEM.finditer(text)
    )
    return tuple(item for item in items if item)


def join_list(items: Iterable[str]) -> str:
    """Return items as one cell, from which `split_list` reads them again."""
    return ", ".join(
        '"' + item.replace('"', '""') + '"' if _NEEDS_QUOTES.search(item) else item
        for item in items
    )
