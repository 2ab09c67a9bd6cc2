"""What a loop asks again and again reads little, however much waits or has ended.

Each statement runs on tables of tens of thousands of rows, and the pages it touches are counted.
"""

import re
from typing import Any

from leadflood.domain.sending.repository import SQL as SENDING
from leadflood.engine.db.pool import Settings, own_connection
from leadflood.engine.db.sql import Query
from leadflood.engine.ledger.repository import SQL as LEDGER
from leadflood.engine.obs.event_feed import SQL as FEED
from leadflood.engine.queue.repository import SQL as QUEUE

MOST_PAGES = 250
FILL = """
SET session_replication_role = replica;
INSERT INTO node (name, started_at, last_beat_at) VALUES ('n', '2026-01-05Z', '2026-01-05Z');
INSERT INTO run (id, kind, created_at, state, ended_at, cancelled_at)
SELECT gen_random_uuid(), 'lead', '2026-01-05Z',
       CASE WHEN n % 6 = 0 THEN 'cancelled' ELSE 'completed' END, '2026-01-05Z',
       CASE WHEN n % 6 = 0 THEN '2026-01-05Z'::timestamptz END
FROM generate_series(1, 20000) AS n;
INSERT INTO run (id, kind, created_at)
SELECT gen_random_uuid(), 'lead', '2026-01-05Z' FROM generate_series(1, 20000);
INSERT INTO job (id, run_id, created_at, state, run_at, stage, key, payload)
SELECT gen_random_uuid(), id, '2026-01-05Z', CASE n % 4 WHEN 0 THEN 2 ELSE 0 END,
       CASE n % 4 WHEN 0 THEN '2026-02-05Z'::timestamptz END, 'a.b',
       'a.b:' || id, repeat('x', 200)
FROM (SELECT id, row_number() OVER () AS n FROM run WHERE state = 'running') AS waiting;
INSERT INTO history (id, created_at, finished_at, state, attempts, losses, stage)
SELECT gen_random_uuid(), '2026-01-05Z', '2026-01-05Z', 3, 0, 0, 'a.b'
FROM generate_series(1, 20000);
INSERT INTO dead_letter (id, stage, turn, priority, attempts, losses, payload, error_code, error,
                         chain, created_at, died_at)
SELECT gen_random_uuid(), 'a.b', 0, 0, 1, 0, '{}', 'x', 'x', 'x', '2026-01-05Z', '2026-01-05Z'
FROM generate_series(1, 20000);
INSERT INTO event (era, id, at, subject, type, payload)
SELECT 1, gen_random_uuid(), '2026-01-05Z', gen_random_uuid(), 'a.b.c', '{}'
FROM generate_series(1, 20000);
INSERT INTO provider_call (id, provider, operation, node_id, state, reserved_micros, settled_micros,
                           subjects, shares, outcome, question_hash, created_at)
SELECT gen_random_uuid(), 'apollo', 'people.match', 1, 'settled', 1, 1, '{x}', '{1}', 'found',
       '\\x00', '2026-01-05Z'
FROM generate_series(1, 20000);
INSERT INTO answer (provider, operation, question_hash, body, found, cost_micros, stored_at,
                    expires_at)
SELECT 'apollo', 'people.match', int4send(n), '\\x00', true, 0, '2026-01-05Z', '2026-06-05Z'
FROM generate_series(1, 20000) AS n;
INSERT INTO budget (scope)
SELECT 'lead:' || gen_random_uuid() || ':x' FROM generate_series(1, 20000);
INSERT INTO intent (id, message_id, lead_id, run_id, step, reference, channel, to_address,
                    address_key, state, published_state, latest_useful_at, created_at, ended_at)
SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 1, 'r' || n,
       'email', 'a@b.example', '\\x00', 'accepted', 'accepted', '2026-01-05Z', '2026-01-05Z',
       '2026-01-05Z'
FROM generate_series(1, 20000) AS n;
SET session_replication_role = DEFAULT;
ANALYZE
"""
PARAMETERS = {
    "node_id": "1",
    "stage": "'a.b'",
    "stages": "ARRAY['a.b', 'c.d']",
    "after_priority": "0",
    "after_turn": "0",
    "after_id": "gen_random_uuid()",
    "limit": "10",
    "at_most": "10",
    "id": "gen_random_uuid()",
    "before": "gen_random_uuid()",
    "now": "'2026-01-06Z'",
    "patience": "5",
    "backoff_seconds": "1.0",
    "era": "1",
    "xid": "'1'",
}
TIMES = {"prune_events", "prune_dead_letters"}
LOOPED = {
    QUEUE: """
        claim_jobs claim_run_jobs claim_cancelled_jobs list_claims wake_scheduled next_scheduled_at
        rescue_claims smallest_turn list_crash_loops take_run_checks lock_ending_runs check_again
        complete_runs list_sweeping_runs lock_swept_runs end_sweeping hold_runs prune_history
        prune_events prune_runs prune_dead_letters
    """,
    LEDGER: "resolve_orphans forget_answers prune_budgets",
    SENDING: "list_lost",
    FEED: "read_events",
}
EACH_RUN = Query(
    "each_run",
    "UPDATE run SET state = 'completed' WHERE state = 'running' AND NOT is_loading"
    " AND NOT EXISTS (SELECT FROM job WHERE job.run_id = run.id) RETURNING id",
    (),
)
"""What a loop must not ask: it reads every run that waits."""


def parameter_of(query: Query, name: str, run_ids: str) -> str:
    """Return a value of a parameter: most times nothing is due."""
    if name in {"ids", "run_ids"}:
        return run_ids
    if query.name == "prune_budgets" and name in {"prefix", "before"}:
        return "'lead:'"
    if name == "before" and query.name in TIMES:
        return "'2025-01-05Z'"
    return PARAMETERS[name]


async def count_pages(connection: Any, query: Query, run_ids: str) -> tuple[int, str]:
    """Run a statement and take it back; return how many pages it touched, and its plan."""
    values = ", ".join(parameter_of(query, name, run_ids) for name in query.parameters)
    call = f"looped({values})" if values else "looped"
    await connection.execute(f"PREPARE looped AS {query.text.rstrip().rstrip(';')}; BEGIN")
    rows = await connection.fetch(f"EXPLAIN (ANALYZE, BUFFERS, COSTS OFF) EXECUTE {call}")
    await connection.execute("ROLLBACK; DEALLOCATE looped")
    plan = "\n".join(row[0] for row in rows)
    top = re.search(r"Buffers: shared(?: hit=(\d+))?(?: read=(\d+))?", plan)
    return (sum(int(count or 0) for count in top.groups()) if top else 0), plan


async def test_statements_of_loops_read_little_however_much_waits(
    database_settings: Settings,
) -> None:
    greedy = []
    async with own_connection(database_settings) as connection:
        await connection.execute(FILL)
        ids = await connection.fetch("SELECT id FROM run WHERE state = 'running' LIMIT 10")
        run_ids = "'{" + ",".join(str(row[0]) for row in ids) + "}'"
        for queries, names in LOOPED.items():
            for name in names.split():
                pages, plan = await count_pages(connection, getattr(queries, name), run_ids)
                if pages > MOST_PAGES:
                    greedy.append(f"{name}: {pages} pages\n{plan}")
        planted, _ = await count_pages(connection, EACH_RUN, run_ids)

    assert not greedy, "\n\n".join(greedy)
    assert planted > MOST_PAGES
