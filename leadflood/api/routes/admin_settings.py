"""The effective settings over HTTP: what is set, by whom, and where it came from."""

from collections.abc import Iterator

import msgspec

from leadflood.api.http.routing import Route
from leadflood.api.services import Node
from leadflood.engine.ledger.override_rows import ALL, OverrideRow

LIVE = "live"


class SettingView(msgspec.Struct, frozen=True, kw_only=True):
    """A setting as it is in force on this node; secrets are masked.

    `source` is `default`, `file`, `environment`, `secret file`, `command` (named when it was
    started) or `live` (set by hand while it runs, in force on all nodes).
    """

    path: str
    value: str
    source: str


class EffectiveSettings:
    """The route of settings."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def routes(self) -> tuple[Route, ...]:
        """List the rows of the table."""
        return (
            Route(
                method="GET", path="/v1/admin/settings", handler=self.list,
                permission="admin:read",
            ),
        )  # fmt: skip

    async def list(self) -> list[SettingView]:
        """List every effective setting, secrets masked, with where it came from."""
        live = dict(self._live())
        shown = [
            SettingView(path=path, value=value, source=source)
            for path, value, source in self._node.services.explain_settings()
            if path not in live
        ]
        shown += [SettingView(path=path, value=value, source=LIVE) for path, value in live.items()]
        return sorted(shown, key=lambda setting: setting.path)

    def _live(self) -> Iterator[tuple[str, str]]:
        live_overrides = self._node.services.live_overrides
        yield from _caps("budget.", live_overrides.get(ALL), "day_micros", "month_micros")
        for name in self._node.services.provider_names:
            row = live_overrides.get(name)
            yield from _caps(f"providers.{name}.", row, "day_cap_micros", "month_cap_micros")
            for limit, windows in row.overrides.limits.items():
                told = ", ".join(f"{one.calls}/{one.seconds:g} s" for one in windows)
                yield f"providers.{name}.limits.{limit}", told


def _caps(path: str, row: OverrideRow, day: str, month: str) -> Iterator[tuple[str, str]]:
    if row.overrides.day_cap_micros is not None:
        yield path + day, str(row.overrides.day_cap_micros)
    if row.overrides.month_cap_micros is not None:
        yield path + month, str(row.overrides.month_cap_micros)
