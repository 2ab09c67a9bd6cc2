"""What the pretend world writes down: every request, every charge, every message it took.

One append-only file of JSON lines, one line a request, written before the answer leaves. A
restarted world reads it and goes on.
"""

import os
from collections import Counter, defaultdict
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from leadflood.contracts.values import Micros


class Delivery(msgspec.Struct, frozen=True, omit_defaults=True):
    """A message that was accepted. `key` tells messages apart: equal keys are one sent twice."""

    recipient: str
    key: str
    parameters: tuple[str, ...] = ()
    template_id: str = ""
    body_bytes: int = 0


class Entry(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One request and what it came to; status 0: it was never answered.

    `reference` is the caller's (`x-request-id`, or the Message-ID); `subjects` what a bulk call
    was charged for, one by one.
    """

    at: str
    provider: str
    operation: str
    status: int
    reference: str = ""
    fault: str = ""
    credits: Decimal = Decimal(0)
    amount_micros: Micros = 0
    subjects: tuple[str, ...] = ()
    delivery: Delivery | None = None


class InvoiceLine(msgspec.Struct, frozen=True, kw_only=True):
    """One charge as the customer reads it."""

    number: int
    at: str
    provider: str
    operation: str
    reference: str
    credits: Decimal
    amount_micros: Micros
    subjects: tuple[str, ...]


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """A message, how often it came, and under which references."""

    provider: str
    key: str
    recipient: str
    parameters: tuple[str, ...]
    count: int
    references: tuple[str, ...]


class Books:
    """The open file and its sums. One writer; nothing is ever changed."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "books.jsonl"
        self.deliveries: list[tuple[str, Entry, Delivery]] = []
        self.statuses: Counter[tuple[str, str, int]] = Counter()
        self.faults: Counter[tuple[str, str]] = Counter()
        self.visits: Counter[str] = Counter()
        self.credits: defaultdict[str, Decimal] = defaultdict(Decimal)
        self._charged: list[Entry] = []
        self._encoder = msgspec.json.Encoder()
        self._replay()
        # O_NONBLOCK means nothing on a plain file but tells watchers that this cannot stall.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        self._file = os.open(self.path, flags, 0o600)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def record(self, entry: Entry) -> None:
        """Write one request down; it is with the operating system when this returns."""
        os.write(self._file, self._encoder.encode(entry) + b"\n")
        self._add(entry)

    def invoice(self) -> list[InvoiceLine]:
        """List every charge, in the order it was made."""
        return [
            InvoiceLine(
                number=number,
                at=entry.at,
                provider=entry.provider,
                operation=entry.operation,
                reference=entry.reference,
                credits=entry.credits,
                amount_micros=entry.amount_micros,
                subjects=entry.subjects,
            )
            for number, entry in enumerate(self._charged, 1)
        ]

    def mails(self) -> list[Mail]:
        """List the messages with how often each came."""
        grouped: defaultdict[tuple[str, str], list[Entry]] = defaultdict(list)
        first: dict[tuple[str, str], Delivery] = {}
        for provider, entry, delivery in self.deliveries:
            grouped[provider, delivery.key].append(entry)
            first.setdefault((provider, delivery.key), delivery)
        return [
            Mail(
                provider=provider,
                key=key,
                recipient=first[provider, key].recipient,
                parameters=first[provider, key].parameters,
                count=len(entries),
                references=tuple(entry.reference for entry in entries),
            )
            for (provider, key), entries in grouped.items()
        ]

    def _add(self, entry: Entry) -> None:
        self.visits[entry.provider] += 1
        self.statuses[entry.provider, entry.operation, entry.status] += 1
        if entry.fault:
            self.faults[entry.provider, entry.fault] += 1
        if entry.amount_micros or entry.credits:
            self.credits[entry.provider] += entry.credits
            self._charged.append(entry)
        if entry.delivery:
            self.deliveries.append((entry.provider, entry, entry.delivery))

    def _replay(self) -> None:
        if not self.path.exists():
            return
        decoder = msgspec.json.Decoder(Entry)
        whole, newline, torn = self.path.read_bytes().rpartition(b"\n")
        for line in whole.splitlines():
            self._add(decoder.decode(line))
        if torn:
            os.truncate(self.path, len(whole) + len(newline))
