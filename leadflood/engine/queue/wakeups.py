"""Wake-ups: calls the fetchers and the timer of this process when there is work."""

from collections.abc import Callable


class Wakeups:
    """Wake-up calls by stage. A producer without stages of its own has none: waking is a no-op."""

    def __init__(self) -> None:
        self._stages: dict[str, Callable[[], None]] = {}
        self._timer: Callable[[], None] | None = None
        self._notify: Callable[[str], None] | None = None

    def register(self, stage: str, wake: Callable[[], None]) -> None:
        """Register the fetcher of a stage."""
        self._stages[stage] = wake

    def register_timer(self, wake: Callable[[], None]) -> None:
        """Register the timer."""
        self._timer = wake

    def register_notifier(self, notify: Callable[[str], None]) -> None:
        """Register what notifies the other nodes, rate-limited and only while there are any."""
        self._notify = notify

    def wake(self, stage: str, *, is_from_outside: bool = False) -> None:
        """Wake a stage: it has work in Postgres."""
        if (fetcher := self._stages.get(stage)) is not None:
            fetcher()
        if self._notify is not None and not is_from_outside:
            self._notify(stage)

    def wake_all(self) -> None:
        """Wake all stages: any may have work."""
        for wake in self._stages.values():
            wake()

    def wake_timer(self) -> None:
        """Wake the timer: one was set that may be earlier than the one waited for."""
        if self._timer is not None:
            self._timer()
        if self._notify is not None:
            self._notify("")
