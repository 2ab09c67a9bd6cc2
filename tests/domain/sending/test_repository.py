from uuid import UUID

import pytest
from leadflood.domain.sending import repository
from leadflood.engine.db.pool import Settings, own_connection

pytestmark = pytest.mark.pg
SENT = """
    INSERT INTO intent (
        id, message_id, lead_id, run_id, step, reference, channel, to_address, address_key, state,
        claim, job_id, latest_useful_at, created_at, sending_at, ended_at, touch)
    SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 1,
        '<' || number || '@x>', 'email', 'p' || number || '@acme.example',
        sha256(number::text::bytea), 'accepted', 1, gen_random_uuid(), '2026-01-01', '2026-01-01',
        '2026-01-01', '2026-01-01', 1
    FROM generate_series(1, 20000) AS number
"""


async def test_who_was_written_to_is_found_by_indexes_however_many_there_are(
    database_settings: Settings,
) -> None:
    query = repository.SQL.find_touches
    given = {
        "mailbox_ids": [UUID(int=number) for number in range(1, 65)],
        "address_keys": [bytes(32)] * 64,
        "person_ids": [UUID(int=number) for number in range(1, 65)],
        "lead_ids": [UUID(int=number) for number in range(1, 65)],
    }
    async with own_connection(database_settings) as connection:
        await connection.execute("SET session_replication_role = replica")  # no messages are needed
        await connection.execute(SENT)
        await connection.execute("ANALYZE intent")
        rows = await connection.fetch(
            f"EXPLAIN {query.text}", *(given[name] for name in query.parameters)
        )

    plan = "\n".join(row[0] for row in rows)
    assert "intent_touch" in plan, plan
    assert "intent_lead" in plan, plan
    assert "Seq Scan" not in plan, plan
