"""Names that operators type: one that does not exist is answered with those that do."""

from collections.abc import Sequence

from leadflood.engine.errors import NotFound


def unknown_name(kind: str, name: str, names: Sequence[str]) -> NotFound:
    """Return the refusal of a name that is none of those that exist."""
    return NotFound(
        f"there is no {kind} {name!r}; known are {', '.join(names)}",
        code=f"engine.{kind}.not_found",
    )
