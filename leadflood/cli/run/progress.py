"""Progress of `leadflood run`: a line that changes on a terminal, else a line every few seconds."""

from typing import Self

import msgspec
from rich.live import Live
from rich.text import Text

from leadflood.cli.console import format_money, print_message, stderr_console
from leadflood.domain.runs.schemas import Funnel


class RunSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A run at one moment: rows imported of all rows, leads finished, speed and cost."""

    funnel: Funnel
    row_count: int
    total_rows: int
    finished: int
    per_second: float
    seconds: float
    currency: str

    def line(self) -> str:
        """Return it as one line of text."""
        rows_left = max(self.total_rows - self.finished, 0)
        time_left = f"{rows_left / self.per_second:.0f} s left" if self.per_second > 0 else "…"
        return (
            f"read {self.row_count}/{self.total_rows}  done {self.finished}  "
            f"HIGH {self.funnel.high}  failed {self.funnel.failed}  {self.per_second:.0f}/s  "
            f"{time_left}  spent {format_money(self.funnel.spent_micros)} {self.currency}"
        )


class ProgressDisplay:
    """Shows snapshots of a run on stderr."""

    INTERVAL_SECONDS = 5.0

    def __init__(self) -> None:
        self._live = Live(console=stderr_console, refresh_per_second=5, transient=True)
        self._printed_at = 0.0

    def __enter__(self) -> Self:
        if stderr_console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._live.stop()

    def show(self, snapshot: RunSnapshot) -> None:
        """Show one snapshot."""
        if stderr_console.is_terminal:
            self._live.update(Text(snapshot.line()))
        elif snapshot.seconds - self._printed_at >= self.INTERVAL_SECONDS:
            self._printed_at = snapshot.seconds
            print_message(snapshot.line())
