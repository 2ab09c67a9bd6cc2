"""The ledger port: what the gateway needs of a ledger. `engine/ledger` implements it."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

import msgspec

from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import LeadfloodError
from leadflood.engine.net.calls import Reply


class LineState(StrEnum):
    """The state of a ledger line; unresolved counts at its reserved price."""

    RESERVED = "reserved"
    SETTLED = "settled"
    RELEASED = "released"
    UNRESOLVED = "unresolved"


class Purchase(msgspec.Struct, frozen=True, kw_only=True):
    """A call about to be made: the line that is reserved for it.

    `shares` are what each subject bears of `max_cost_micros`; they sum to it. `is_effect`: it acts
    on the outside; the providers that a run names are those it may ask, not those that act for it.
    """

    reference: UUID
    provider: str
    operation: str
    run_id: UUID | None
    job_id: UUID | None
    max_cost_micros: int
    subjects: tuple[str, ...]
    shares: tuple[int, ...]
    question_hash: bytes
    made_at: datetime
    is_effect: bool = False


class StoredAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer to be kept until `expires_at`; `names` are further questions that it answers."""

    question_hash: bytes
    body: bytes
    found: bool
    cost_micros: int
    expires_at: datetime
    names: tuple[bytes, ...] = ()


class LedgerReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """The receipt of a call: its line's last state, what it cost, the answers to keep.

    `shares` sum to `settled_micros`; both mean nothing unless the state is settled.
    """

    purchase: Purchase
    state: LineState
    outcome: str
    ended_at: datetime
    settled_micros: int = 0
    shares: tuple[int, ...] = ()
    answers: tuple[StoredAnswer, ...] = ()


class LedgerQuestion(msgspec.Struct, frozen=True):
    """The key of an answer; one kept before `since` does not count (None: all do)."""

    provider: str
    operation: str
    question_hash: bytes
    since: datetime | None = None


class Ledger(Protocol):
    """Lines, caps and answers, written inside the gateway's shared transactions."""

    async def lock_node(self, tx: Tx, node_id: int) -> bool:
        """Keep this node from being evicted until the transaction ends; False: it is already."""

    async def find_reserved(self, tx: Tx, purchases: Sequence[Purchase]) -> set[UUID]:
        """Return which of these an earlier try has reserved already."""

    async def list_reserved(self, db: Reader, node_id: int) -> Sequence[Purchase]:
        """List the purchases of a node whose lines are reserved now."""

    async def check_runs(
        self, tx: Tx, purchases: Sequence[Purchase]
    ) -> Sequence[LeadfloodError | None]:
        """Return why the run of a purchase may not make it, or None. Locks and writes nothing."""

    async def check_caps(
        self, tx: Tx, purchases: Sequence[Purchase]
    ) -> Sequence[LeadfloodError | None]:
        """Lock the caps and return why a purchase may not be made, or None. Writes no amounts.

        The order counts: what is granted to one is no longer there for the next.
        """

    async def reserve(self, tx: Tx, node_id: int, purchases: Sequence[Purchase]) -> None:
        """Write the lines and count their most against their caps."""

    async def settle(self, tx: Tx, receipts: Sequence[LedgerReceipt]) -> None:
        """Write how the calls ended, move the money, keep the answers. Harmless when repeated."""

    async def find_answers(
        self, tx: Tx, questions: Sequence[Sequence[LedgerQuestion]], now: datetime
    ) -> Sequence[Reply | None]:
        """Find the answers kept, in the order of the questions, each given by all of its names.

        A hit goes before a miss, a newer answer before an older one.
        """


class Allowance(Protocol):
    """The rows of leased allowances."""

    def locked(
        self, provider: str, api_key: str, limit_name: str, now: datetime
    ) -> AbstractAsyncContextManager["AllowanceRow"]:
        """Open a transaction that holds the row; what is set in it is written at the end."""


class AllowanceRow:
    """One row, locked: its encoded state, empty at first; what is set in it is written.

    `now` is the instant when it was locked, by the clock that all who share it go by (Unix
    seconds); None: that is the caller's own.
    """

    def __init__(self, state: str, now: float | None = None) -> None:
        self.state = state
        self.now = now
