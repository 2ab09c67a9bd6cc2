"""Names: camelCase on the wire, snake_case in Python."""

import re

_CAPITAL = re.compile(r"(?<!^)([A-Z])")


def snake_case(name: str) -> str:
    """Return the Python name of a name on the wire."""
    return _CAPITAL.sub(r"_\1", name).lower()


def camel_case(name: str) -> str:
    """Return the name on the wire of a Python name."""
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))
