"""Word files: lists of words that an installation may look at and change, in `config/words`.

They are read once, when the module that uses them is imported.
"""

import tomllib
from typing import Any

from leadflood.engine.package_files import package_folder


def read_lines(name: str) -> tuple[str, ...]:
    """Return the lines of a list, without its empty lines and its comments (`# …`)."""
    lines = (line.partition("#")[0].strip() for line in _read(name).splitlines())
    return tuple(line for line in lines if line)


def read_tables(name: str) -> dict[str, Any]:
    """Return the tables of a TOML file of words."""
    return tomllib.loads(_read(name))


def _read(name: str) -> str:
    return (package_folder("config") / "words" / name).read_text("utf-8")
