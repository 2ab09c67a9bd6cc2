"""Deprecation: a route that will go says so in every answer (RFC 9745, RFC 8594)."""

from datetime import UTC, datetime
from email.utils import format_datetime

import msgspec


class Deprecation(msgspec.Struct, frozen=True, kw_only=True):
    """Since when a route should not be used, when it goes (None: not decided), what replaces it.

    `why` is a page for people that says more.
    """

    deprecated_at: datetime
    sunset_at: datetime | None = None
    replaced_by: str = ""
    why: str = ""

    def headers(self) -> dict[str, str]:
        """Return it as headers."""
        links = []
        if self.replaced_by:
            links.append(f'<{self.replaced_by}>; rel="successor-version"')
        if self.why:
            links.append(f'<{self.why}>; rel="deprecation"; type="text/html"')
        headers = {"Deprecation": f"@{int(self.deprecated_at.timestamp())}"}
        if self.sunset_at is not None:
            headers["Sunset"] = format_datetime(self.sunset_at.astimezone(UTC), usegmt=True)
        if links:
            headers["Link"] = ", ".join(links)
        return headers
