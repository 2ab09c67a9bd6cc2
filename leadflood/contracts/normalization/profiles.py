"""Profiles: the one address of a page of a person or a company."""

import re
from functools import lru_cache
from urllib.parse import unquote, urlsplit

from leadflood.contracts.normalization.text import clean_text

_LINKEDIN = re.compile(
    r"^/(?:[a-z]{2}/)?(in|pub|company|school|sales/lead|sales/people)/([^/]+)", re.IGNORECASE
)


@lru_cache(maxsize=8192)
def normalize_linkedin(text: str) -> str | None:
    """Return a profile's or company page's one address: `https://www.linkedin.com/in/name`."""
    url = clean_text(text)
    try:
        parts = urlsplit(url if "://" in url else f"https://{url}")
        host = (parts.hostname or "").lower()
    except ValueError:
        return None
    match = _LINKEDIN.match(parts.path)
    if match is None or (host != "linkedin.com" and not host.endswith(".linkedin.com")):
        return None
    kind = match[1].lower()
    name = clean_text(unquote(match[2])).casefold()
    return f"https://www.linkedin.com/{kind}/{name}" if name else None
