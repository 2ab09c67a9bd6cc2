"""Journal: every request, every charge and every message that the pretend world accepted.

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
    """A message that was accepted.

    Attributes:
        recipient: An address or a phone number.
        key: What the message is; equal keys are one message sent twice.
        parameters: The parameters of a template.
        template_id: The template; empty for an e-mail.
        body_bytes: The size of an e-mail.
    """

    recipient: str
    key: str
    parameters: tuple[str, ...] = ()
    template_id: str = ""
    body_bytes: int = 0


class JournalEntry(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One request and its outcome.

    Attributes:
        at: When the response left, in ISO 8601.
        provider: Who was called.
        operation: The provider's own name of the endpoint.
        status: The status of the response; 0 means it was never answered.
        reference: The caller's reference: `x-request-id`, or the Message-ID.
        fault: The injected fault, if any.
        credits: Credits charged.
        amount_micros: Money charged.
        subjects: What a bulk call was charged for, one by one.
        delivery: The message that was accepted, if any.
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
    """One charge as the customer reads it.

    Attributes:
        number: Its place on the invoice, from 1.
        at: When it was charged, in ISO 8601.
        provider: Who charges.
        operation: The provider's own name of the endpoint.
        reference: The caller's reference.
        credits: Credits charged.
        amount_micros: Money charged.
        subjects: What a bulk call was charged for, one by one.
    """

    number: int
    at: str
    provider: str
    operation: str
    reference: str
    credits: Decimal
    amount_micros: Micros
    subjects: tuple[str, ...]


class ReceivedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message and how often it came.

    Attributes:
        provider: Who accepted it.
        key: What the message is.
        recipient: An address or a phone number.
        parameters: The parameters of a template.
        count: How often it came; more than 1 is a duplicate.
        references: The caller's reference of each time.
    """

    provider: str
    key: str
    recipient: str
    parameters: tuple[str, ...]
    count: int
    references: tuple[str, ...]


class Journal:
    """The open file and its totals. One writer; append-only."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "journal.jsonl"
        self.deliveries: list[tuple[str, JournalEntry, Delivery]] = []
        self.statuses: Counter[tuple[str, str, int]] = Counter()
        self.faults: Counter[tuple[str, str]] = Counter()
        self.request_counts: Counter[str] = Counter()
        self.credits: defaultdict[str, Decimal] = defaultdict(Decimal)
        self._charged: list[JournalEntry] = []
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

    def record(self, entry: JournalEntry) -> None:
        """Append one request; it is with the operating system when this returns."""
        os.write(self._file, self._encoder.encode(entry) + b"\n")
        self._add(entry)

    def list_invoice_lines(self) -> list[InvoiceLine]:
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

    def list_messages(self) -> list[ReceivedMessage]:
        """List the messages with how often each came."""
        grouped: defaultdict[tuple[str, str], list[JournalEntry]] = defaultdict(list)
        first: dict[tuple[str, str], Delivery] = {}
        for provider, entry, delivery in self.deliveries:
            grouped[provider, delivery.key].append(entry)
            first.setdefault((provider, delivery.key), delivery)
        return [
            ReceivedMessage(
                provider=provider,
                key=key,
                recipient=first[provider, key].recipient,
                parameters=first[provider, key].parameters,
                count=len(entries),
                references=tuple(entry.reference for entry in entries),
            )
            for (provider, key), entries in grouped.items()
        ]

    def _add(self, entry: JournalEntry) -> None:
        self.request_counts[entry.provider] += 1
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
        decoder = msgspec.json.Decoder(JournalEntry)
        whole, newline, torn = self.path.read_bytes().rpartition(b"\n")
        for line in whole.splitlines():
            self._add(decoder.decode(line))
        if torn:
            os.truncate(self.path, len(whole) + len(newline))
