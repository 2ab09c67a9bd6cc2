"""The gate against a real Postgres, with answers from memory."""

from leadflood.engine.db.pool import Database
from leadflood.engine.ledger.store import list_lines
from leadflood.engine.net.book import LineState
from tests.support.live_gate import Other, a_call, opened_gate


async def test_a_call_is_reserved_sent_and_settled_at_what_it_cost(database: Database) -> None:
    other = Other(cost=7)

    async with opened_gate(database) as opened:
        reply = await opened.gate.call(a_call(), other)

    assert (reply.body, reply.cached) == (b"answer", False)
    (line,) = await list_lines(database)
    assert line.id == other.references[0]
    assert (line.state, line.reserved_micros, line.settled_micros) == (LineState.SETTLED, 10, 7)
    assert (line.subjects, line.shares) == (("lead-1",), (7,))
