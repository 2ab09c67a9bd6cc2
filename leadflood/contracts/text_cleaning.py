"""Text cleaning: what comes from outside is made one line before anybody sees it."""

from leadflood.engine.text import one_line

_MOST_CHARS = 500


def single_line(text: str, most_chars: int = _MOST_CHARS) -> str:
    """Return a text as one capped line without control or invisible characters."""
    return " ".join(one_line(text).split())[:most_chars].strip()
