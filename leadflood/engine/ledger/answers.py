"""Kept answers: found again instead of bought, until they expire."""

from collections.abc import Sequence
from datetime import datetime

from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.net.calls import Reply
from leadflood.engine.net.ledger_port import (
    LedgerQuestion,
    LedgerReceipt,
)

SQL = load_queries(__file__)


async def forget_answers(db: Reader, now: datetime, at_most: int = 5_000) -> int:
    """Delete answers past their time; return how many, so that the caller knows when to stop."""
    return await db.execute(SQL.forget_answers, now=now, at_most=at_most)


async def find_answers(
    tx: Tx, questions: Sequence[LedgerQuestion], now: datetime
) -> Sequence[Reply | None]:
    """Find the answers kept, in the order of the questions."""
    rows = await tx.fetch(
        SQL.find_answers,
        providers=[question.provider for question in questions],
        operations=[question.operation for question in questions],
        hashes=[question.question_hash for question in questions],
        sinces=[question.since for question in questions],
        now=now,
    )
    replies: list[Reply | None] = [None] * len(questions)
    for position, body, is_found in rows:
        replies[position - 1] = Reply(body=body, found=is_found, cached=True)
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
