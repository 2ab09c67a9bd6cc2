"""Kept answers: found again instead of bought, until they expire."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.net.calls import Reply
from leadflood.engine.net.ledger_port import LedgerQuestion, LedgerReceipt, StoredAnswer

SQL = load_queries(__file__)


async def forget_answers(db: Reader, now: datetime, at_most: int = 5_000) -> int:
    """Delete answers past their time; return how many, so that the caller knows when to stop."""
    return await db.execute(SQL.forget_answers, now=now, at_most=at_most)


async def find_answers(
    tx: Tx, questions: Sequence[Sequence[LedgerQuestion]], now: datetime
) -> Sequence[Reply | None]:
    """Find the answers kept, in the order of the questions, each given by all of its names."""
    names = [(position, name) for position, names in enumerate(questions) for name in names]
    rows = await tx.fetch(
        SQL.find_answers,
        positions=[position for position, _ in names],
        providers=[name.provider for _, name in names],
        operations=[name.operation for _, name in names],
        hashes=[name.question_hash for _, name in names],
        sinces=[name.since for _, name in names],
        now=now,
    )
    replies: list[Reply | None] = [None] * len(questions)
    for position, body, is_found, stored_at in rows:
        replies[position] = Reply(body=body, found=is_found, cached=True, observed_at=stored_at)
    return replies


async def store_answers(tx: Tx, receipts: Sequence[LedgerReceipt]) -> None:
    """Store the answers of calls; one to the same question replaces the last."""
    answers_by_key = {
        (receipt.purchase.provider, receipt.purchase.operation, answer.question_hash): (
            receipt,
            answer,
        )
        for receipt in receipts
        for answer in receipt.answers
    }
    if not answers_by_key:
        return
    answers = [answer for _, answer in answers_by_key.values()]
    await tx.execute(
        SQL.store_answers,
        providers=[provider for provider, _, _ in answers_by_key],
        operations=[operation for _, operation, _ in answers_by_key],
        hashes=[answer.question_hash for answer in answers],
        bodies=[answer.body for answer in answers],
        founds=[answer.found for answer in answers],
        costs=[answer.cost_micros for answer in answers],
        stored_ats=[receipt.ended_at for receipt, _ in answers_by_key.values()],
        expires_ats=[answer.expires_at for answer in answers],
    )
    await _store_names(tx, answers_by_key)


async def _store_names(
    tx: Tx, answers_by_key: Mapping[tuple[str, str, bytes], tuple[LedgerReceipt, StoredAnswer]]
) -> None:
    names = {
        (provider, operation, name): answer.question_hash
        for (provider, operation, _), (_, answer) in answers_by_key.items()
        for name in answer.names
    }
    if names:
        await tx.execute(
            SQL.store_answer_names,
            providers=[provider for provider, _, _ in names],
            operations=[operation for _, operation, _ in names],
            hashes=[name for _, _, name in names],
            answer_hashes=list(names.values()),
        )
