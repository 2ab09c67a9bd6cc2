"""Crash points of calls: named moments at which tests end the process."""

from collections.abc import Callable, Iterable

from leadflood.engine.net.ledger_port import Purchase

Hook = Callable[[str], None]


class CrashPoints:
    """Reports that calls reach a moment, such as `<provider>.message.send.settle.before`.

    Of a shared transaction `before` is the last moment before COMMIT, `after` the first one after.
    """

    def __init__(self, hook: Hook | None) -> None:
        self._hook = hook

    def reach(self, moment: str, purchases: Iterable[Purchase]) -> None:
        """Report a moment for each call."""
        if self._hook is not None:
            for purchase in purchases:
                self._hook(f"{purchase.provider}.{purchase.operation}.{moment}")
