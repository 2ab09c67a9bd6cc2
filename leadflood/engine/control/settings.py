"""Effective settings: what is set, by whom, and where it came from."""

from collections.abc import Callable, Iterator, Sequence

from leadflood.engine.control.schemas import SettingView
from leadflood.engine.ledger.override_rows import ALL, OverrideRow
from leadflood.engine.live_overrides import LiveOverrides

LIVE = "live"
ExplainSettings = Callable[[], Sequence[tuple[str, str, str]]]
"""Lists every setting of the files: its path, its value (secrets masked), its origin."""


class EffectiveSettings:
    """Lists the settings in force: those of the files, and those set by hand."""

    def __init__(
        self,
        explain_settings: ExplainSettings,
        live_overrides: LiveOverrides,
        provider_names: Sequence[str],
    ) -> None:
        self._explain_settings = explain_settings
        self._live_overrides = live_overrides
        self._provider_names = provider_names

    def list_all(self) -> list[SettingView]:
        """List every effective setting by its path, secrets masked, with where it came from."""
        settings = {
            path: SettingView(path=path, value=value, source=source)
            for path, value, source in self._explain_settings()
        }
        for path, value in self._list_live():
            settings[path] = SettingView(path=path, value=value, source=LIVE)
        return sorted(settings.values(), key=lambda setting: setting.path)

    def _list_live(self) -> Iterator[tuple[str, str]]:
        overrides = self._live_overrides
        yield from _list_caps("budget.", overrides.get(ALL), "day_micros", "month_micros")
        for name in self._provider_names:
            row = overrides.get(name)
            yield from _list_caps(f"providers.{name}.", row, "day_cap_micros", "month_cap_micros")
            for limit, windows in row.overrides.limits.items():
                rates = ", ".join(f"{window.calls}/{window.seconds:g} s" for window in windows)
                yield f"providers.{name}.limits.{limit}", rates


def _list_caps(path: str, row: OverrideRow, day: str, month: str) -> Iterator[tuple[str, str]]:
    if row.overrides.day_cap_micros is not None:
        yield path + day, str(row.overrides.day_cap_micros)
    if row.overrides.month_cap_micros is not None:
        yield path + month, str(row.overrides.month_cap_micros)
