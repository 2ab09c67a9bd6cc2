"""Text cleaning: what comes from outside is made storable before anybody sees it."""

import re

_MOST_CHARS = 500
_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff\ud800-\udfff]+"
)


def single_line(text: str, most_chars: int = _MOST_CHARS) -> str:
    """Return a text as one capped line without control or invisible characters."""
    return " ".join(_INVISIBLE.sub(" ", text).split())[:most_chars].strip()
