"""SQL stands in `queries.sql` only, prepares, writes its own tables only, and uses its indexes."""

import ast
import re
from collections import Counter
from pathlib import Path

import asyncpg
import pytest
from leadflood.engine.db.pool import Settings, own_connection
from leadflood.engine.db.sql import Queries, Query
from leadflood.engine.obs.event_feed import SQL as FEED_SQL
from leadflood.engine.queue.repository import SQL
from tests.support.tree import ROOT, name_of, query_files, sources, texts

OWNERS = {
    "leadflood/engine/queue": (
        "job history dead_letter run run_check node periodic switch installation event"
    ),
    "leadflood/engine/ledger": "provider_call budget answer answer_name rate_limit tuning",
    "leadflood/api/http": "idempotency stream_ticket untrusted_proxy",
    "leadflood/domain/auth": (
        "app_user recovery_code session api_key one_time_link signing_key login_attempt"
        " known_address master_secret"
    ),
    "leadflood/domain/audit": "audit_event",
    "leadflood/domain/users": "team_setting",
    "leadflood/domain/icp": "icp_profile qualification_rule icp_archive",
    "leadflood/domain/leads": (
        "lead lead_text identity shared_identity unsearched_lead field_value tag"
    ),
    "leadflood/domain/duplicates": (
        "possible_duplicate duplicate_signature duplicate_block different_pair"
    ),
    "leadflood/domain/companies": "company",
    "leadflood/domain/activities": "activity",
    "leadflood/domain/imports": "import import_mapping import_row",
    "leadflood/domain/bulk_actions": "bulk_action bulk_item",
    "leadflood/domain/learning": "label",
    "leadflood/domain/discovery": "discovery_run discovery_record discovery_page",
    "leadflood/domain/enrichment": "enrichment enrichment_record waterfall_stat",
    "leadflood/domain/features": "feature_snapshot",
    "leadflood/domain/scoring": "scoring_algorithm score_prediction",
    "leadflood/domain/notifications": (
        "notification notification_read notification_seen notification_watch"
    ),
    "leadflood/domain/messages": "message message_fact",
    "leadflood/domain/drafting": "template",
    "leadflood/domain/sending": "intent contact_key",
    "leadflood/domain/suppressions": "suppression opt_in unsubscribe_token",
}
GUESTS = {
    ("leadflood/domain/sending", "switch"),
    ("leadflood/domain/leads", "company"),
    ("leadflood/domain/leads", "activity"),
}
"""Holding and releasing of sends is one row of the switches, taken under the slice's own lock.

Values name companies, and the end of a merge is noted, in the statements of their leads.
"""

RUNNING = {"fetch", "fetch_one", "fetch_value", "execute"}
WRITES = re.compile(
    r"\b(?:INSERT\s+INTO|DELETE\s+FROM|MERGE\s+INTO|TRUNCATE|(?<!DO )(?<!FOR )(?<!KEY )UPDATE)"
    r"\s+(?:ONLY\s+)?(\w+)"
)
STATEMENT = re.compile(
    r"^\s*(?:SELECT\b.+\bFROM\b|SELECT\s+pg_|INSERT\s+INTO\b|UPDATE\s+\w+\s+SET\b|DELETE\s+FROM\b"
    r"|MERGE\s+INTO\b|WITH\s+\w+\s+AS\s*\(|(?:CREATE|ALTER|DROP)\s+(?:TABLE|INDEX|DATABASE|ROLE)\b"
    r"|TRUNCATE\s+\w|LISTEN\s+\w|NOTIFY\s+\w|SET\s+(?:LOCAL|SESSION)\b)",
    re.DOTALL,
)
LONGEST_REPEAT = 6
"""How many lines in a row two queries of a file may share before they share a fragment."""
NAMES_OF_QUERIES = {"SQL", "QUERIES"}
HAND_WRITTEN = {
    "benchmarks/raw.py",  # the floor it is compared with, handed over and kept byte for byte
}


def slice_of(path: Path) -> str:
    """Return the folder that owns a query file: it stands there or in its `repository`."""
    return name_of(path.parent).removesuffix("/repository")


def without_comments(text: str) -> str:
    return re.sub(r"--[^\n]*", "", text)


QUERIES: list[tuple[Path, Query]] = [
    (path, query) for path in query_files() for query in Queries(path)
]


async def test_every_query_prepares_against_the_migrated_database(
    database_settings: Settings,
) -> None:
    refused = []
    async with own_connection(database_settings) as connection:
        for path, query in QUERIES:
            try:
                await connection.prepare(query.text)
            except asyncpg.PostgresError as error:
                refused.append(f"{name_of(path)}: {query.name}: {error}")

    assert not refused


def test_every_query_has_a_name_of_its_own_and_a_reason() -> None:
    for path in query_files():
        text = path.read_text("utf-8")
        blocks = re.split(r"^-- (?:name|fragment): ", text, flags=re.MULTILINE)[1:]
        names = [re.split(r"[!\s]", block)[0] for block in blocks]

        assert len(set(names)) == len(names), name_of(path)
        assert not [
            name
            for name, block in zip(names, blocks, strict=True)
            if not block.split("\n")[1].startswith("-- ")
        ], name_of(path)


def queries_used_in(path: Path) -> set[tuple[Path, str]]:
    """List what is read of the queries of a folder: `SQL.find_lead`, `repository.SQL.find_lead`."""
    tree = ast.parse(path.read_text("utf-8"))
    folders = {"": path.parent}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            home = ROOT.joinpath(*node.module.split("."))
            for one in node.names:
                if one.name in NAMES_OF_QUERIES:
                    folders[""] = home.parent
                elif home.joinpath(f"{one.name}.py").exists():
                    folders[one.asname or one.name] = home
    return {
        (folders[module], node.attr)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and last_name(node.value) in NAMES_OF_QUERIES
        for module in [last_name(node.value.value) if isinstance(node.value, ast.Attribute) else ""]
    }


def last_name(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def test_every_query_is_used() -> None:
    used = {query for path in sources() for query in queries_used_in(path)}

    unused = [
        f"{name_of(path)}: {query.name}"
        for path, query in QUERIES
        if (path.parent, query.name) not in used
    ]

    assert not unused


@pytest.mark.parametrize("path", query_files(), ids=name_of)
def test_no_query_repeats_a_long_run_of_lines_of_another(path: Path) -> None:
    lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
    runs = Counter(
        "\n".join(lines[start : start + LONGEST_REPEAT + 1])
        for start in range(len(lines) - LONGEST_REPEAT)
    )

    assert not [run for run, count in runs.items() if count > 1], "make it a fragment"


def test_no_query_asks_the_server_for_the_time_of_day() -> None:
    asking = [
        f"{name_of(path)}: {query.name}"
        for path, query in QUERIES
        if re.search(r"\bnow\(\)|\bcurrent_(?:timestamp|date|time)\b", query.text, re.IGNORECASE)
    ]

    assert not asking


@pytest.mark.parametrize("folder", ["leadflood", "benchmarks"])
def test_sql_stands_in_query_files_only(folder: str) -> None:
    stray = [
        f"{name_of(path)}:{line}: {text.strip()[:60]!r}"
        for path in sources(ROOT / folder)
        if name_of(path) not in HAND_WRITTEN
        for line, text in texts(path)
        if STATEMENT.match(text)
    ]

    assert not stray


@pytest.mark.parametrize("folder", ["leadflood/api/routes", "leadflood/cli"])
def test_routes_and_commands_run_no_query_themselves(folder: str) -> None:
    running = {
        name_of(path): lines
        for path in sources(ROOT / folder)
        if (lines := query_lines(path.read_text("utf-8")))
    }

    assert not running


def test_a_query_in_a_command_is_seen() -> None:
    assert query_lines("async def f(db):\n    return await db.fetch_one(x)\n") == [2]
    assert query_lines("rows = SQL.find_lead\n") == [1]
    assert query_lines("leads = service.list(limit=query.fetch_limit)\n") == []


def query_lines(text: str) -> list[int]:
    """Return the lines that name a statement or run one."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Attribute)
        and (node.attr in RUNNING or (isinstance(node.value, ast.Name) and node.value.id == "SQL"))
    ]


@pytest.mark.parametrize("path", query_files(), ids=name_of)
def test_a_table_is_written_by_its_owner_only(path: Path) -> None:
    folder = slice_of(path)
    own = set(OWNERS.get(folder, "").split())

    written = set(WRITES.findall(without_comments(path.read_text("utf-8"))))

    assert not {table for table in written - own if (folder, table) not in GUESTS}


def test_the_guest_writes_the_switch_of_sending_alone() -> None:
    [text] = [
        query.text
        for path, query in QUERIES
        if slice_of(path) == "leadflood/domain/sending"
        if "switch" in WRITES.findall(query.text)
    ]

    assert re.search(r"VALUES\s*\(\s*'sending'", text) or "'sending'" in text


async def test_every_table_has_an_owner(database_settings: Settings) -> None:
    async with own_connection(database_settings) as connection:
        rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")

    owned = {table for tables in OWNERS.values() for table in tables.split()}
    assert {row[0] for row in rows} - {"alembic_version"} == owned


def test_the_planted_breaches_are_seen() -> None:
    assert WRITES.findall("UPDATE job SET x = 1") == ["job"]
    assert not WRITES.findall("SELECT 1 FOR UPDATE SKIP LOCKED")
    assert not WRITES.findall("ON CONFLICT (a) DO UPDATE SET a = 1; FOR NO KEY UPDATE OF lead")
    assert STATEMENT.match("\n  SELECT id\n FROM job")
    assert STATEMENT.match("CREATE TABLE x (id int)")
    assert not STATEMENT.match("SELECT what you want from the list".lower())
    assert not STATEMENT.match("Update the page")


ID = "gen_random_uuid()"
GIVEN = {
    "node_id": "1",
    "stage": "'a.b'",
    "stages": "ARRAY['a.b', 'c.d']",
    "after_priority": "0",
    "after_turn": "0",
    "after_id": ID,
    "limit": "500",
    "run_ids": f"ARRAY[{ID}]",
    "run_id": ID,
    "id": ID,
    "before": ID,
    "keys": "ARRAY['k1', 'k2']",
    "now": "'2026-01-05Z'",
    "patience": "5",
    "backoff_seconds": "1.0",
    "era": "1",
    "xid": "'1'",
}
HOT = (
    "claim_jobs", "claim_run_jobs", "claim_cancelled_jobs", "list_claims", "wake_scheduled",
    "next_scheduled_at", "rescue_claims", "smallest_turn", "find_job", "list_live_keys",
    "count_run_jobs", "prune_history", "read_events",
)  # fmt: skip
FILL = """
INSERT INTO job (id, run_id, created_at, state, stage, key, payload, turn)
SELECT gen_random_uuid(), gen_random_uuid(), '2026-01-05Z', 0, 'a.b', 'k' || n, '{}', n
FROM generate_series(1, 30000) AS n;
INSERT INTO history (id, created_at, finished_at, state, attempts, losses, stage)
SELECT gen_random_uuid(), '2026-01-05Z', '2026-01-05Z', 3, 0, 0, 'a.b'
FROM generate_series(1, 20000);
INSERT INTO event (era, id, at, subject, type, payload)
SELECT 1, gen_random_uuid(), '2026-01-05Z', gen_random_uuid(), 'a.b.c', '{}'
FROM generate_series(1, 20000);
INSERT INTO run (id, kind, created_at, state)
SELECT gen_random_uuid(), 'a', '2026-01-05Z', CASE WHEN n % 500 = 0 THEN 'running'
ELSE 'completed' END FROM generate_series(1, 5000) AS n;
ANALYZE job; ANALYZE history; ANALYZE event; ANALYZE run
"""


async def test_hot_queries_use_an_index(database_settings: Settings) -> None:
    scanning = []
    async with own_connection(database_settings) as connection:
        await connection.execute(FILL)
        for name in HOT:
            query = getattr(FEED_SQL if name == "read_events" else SQL, name)
            await connection.execute(f"PREPARE hot AS {query.text}")
            given = ", ".join(GIVEN[parameter] for parameter in query.parameters)
            call = f"({given})" if given else ""
            rows = await connection.fetch(f"EXPLAIN EXECUTE hot{call}")
            await connection.execute("DEALLOCATE hot")
            plan = "\n".join(row[0] for row in rows)
            scanned = set(re.findall(r"Seq Scan on (job|history|event|run)\b", plan))
            if scanned:
                scanning.append(f"{name}\n{plan}")

    assert not scanning, "\n\n".join(scanning)
