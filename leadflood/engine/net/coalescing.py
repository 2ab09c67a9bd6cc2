"""Coalescing: equal calls in flight are made once, and their answer is shared."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from leadflood.engine.errors import LeadfloodError
from leadflood.engine.net.calls import Reply
from leadflood.engine.net.ledger_port import LedgerQuestion


class Flight:
    """A call under way for which equal calls wait.

    `reply` is shared with those who wait, and so is `error` where the call was really sent; with
    neither, the next in line makes the call itself.
    """

    __slots__ = ("ended", "error", "reply")

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.reply: Reply | None = None
        self.error: LeadfloodError | None = None


class Coalescing:
    """The calls in flight, by question."""

    def __init__(self) -> None:
        self._flights: dict[LedgerQuestion, Flight] = {}

    async def run(
        self, question: LedgerQuestion, ask: Callable[[Flight], Awaitable[Reply]]
    ) -> Reply:
        """Return the answer of an equal call in flight, or ask.

        Raises: the error of the equal call, where it was sent; whatever `ask` raises.
        """
        while (flight := self._flights.get(question)) is not None:
            await flight.ended.wait()
            if flight.reply is not None:
                return already_paid(flight.reply)
            if flight.error is not None:
                raise flight.error
        flight = self._flights[question] = Flight()
        try:
            flight.reply = await ask(flight)
        finally:
            del self._flights[question]
            flight.ended.set()
        return flight.reply


def already_paid(reply: Reply) -> Reply:
    """Return the reply as those see it who did not pay for it."""
    return msgspec.structs.replace(reply, cost_micros=0, cached=True)
