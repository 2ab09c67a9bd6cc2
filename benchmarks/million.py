"""A million made-up leads, skewed as real ones are, written straight into the tables.

    filled = await fill(database, count=1_000_000, seed=7)

`database` is an open pool on a migrated database without leads; `filled` names what can be asked
for: ICP ids, run ids, owners, tags, countries, companies' domains, last names. The same seed gives
the same leads. A few firms, titles, countries, owners and tags have most of the leads; 93 % have a
score. Indexes that only speed up reading are dropped meanwhile and made again. On two busy cores
a million took four and a half minutes.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import anyio
import msgspec
from leadflood.domain.icp.schemas import IcpInput
from leadflood.domain.icp.service.icps import IcpService
from leadflood.domain.leads.rules.prepared_values import company_id_of
from leadflood.engine.clock import SystemClock
from leadflood.engine.db.pool import Database, Settings, open_database
from leadflood.engine.db.sql import Queries, Query
from leadflood.engine.ids import Ids

SQL = Queries(Path(__file__).with_suffix(".sql"))
CHUNK = 50_000
STEP = timedelta(seconds=15)
PATIENCE_SECONDS = 600.0
COMPANIES_PER_LEAD = 0.05
ICPS = ("Operations leads", "Finance leads", "Engineering leads", "Founders")
RUNS = 40
TAGS = tuple(f"tag-{number}" for number in range(30))
COUNTRIES = tuple(
    "US GB DE FR NL ES IT SE PL CA AU CH BE AT DK NO FI IE PT CZ BR IN JP SG ZA MX".split()  # noqa: SIM905 - a list literal would fill a page
)
LEVELS = ("Head of", "Director of", "VP", "Chief", "Senior", "Junior")
FIELDS = (
    "Operations",
    "Sales",
    "Finance",
    "Marketing",
    "Engineering",
    "Procurement",
    "People",
    "Logistics",
    "Security",
    "Quality",
    "Data",
    "Legal",
)
STARTS = (
    "an",
    "be",
    "cla",
    "da",
    "e",
    "fre",
    "gre",
    "ha",
    "i",
    "jo",
    "ka",
    "le",
    "ma",
    "ni",
    "o",
    "pa",
    "ro",
    "sa",
    "to",
    "vi",
)
ENDS = ("na", "rt", "ra", "vid", "lia", "das", "ta", "nnes", "ris", "nas", "rl", "on", "x", "la")
FAMILIES = ("son", "berg", "mann", "ez", "ski", "ley", "er", "aux", "ini", "feld", "stra", "ton")


class Filled(msgspec.Struct, frozen=True):
    """What the leads can be asked for; the most frequent first."""

    count: int
    icp_ids: tuple[UUID, ...]
    run_ids: tuple[UUID, ...]
    owners: tuple[str, ...]
    tags: tuple[str, ...]
    countries: tuple[str, ...]
    domains: tuple[str, ...]
    last_names: tuple[str, ...]


async def fill(database: Database, count: int = 1_000_000, seed: int = 7) -> Filled:
    """Write so many leads with companies, words, values, keys, snapshots and scores.

    Waits: minutes for a million. Raises: whatever the database refuses; leave it then.
    """
    clock, ids = SystemClock(), Ids(SystemClock(), seed=seed)
    begin = datetime(2026, 1, 5, 9, tzinfo=UTC) - STEP * count
    icps = IcpService(database, ids, clock)
    async with database.transaction() as tx:
        icp_ids = [(await icps.create(tx, IcpInput(name=name))).id for name in ICPS]
    firms = range(1, max(int(count * COMPANIES_PER_LEAD), 1) + 1)
    domains = [f"firm{number}.example" for number in firms]
    company_ids = [company_id_of(domain) for domain in domains]
    run_ids, owners = ids.take(RUNS), [str(ids.new()) for _ in range(12)]
    firsts = [(start + end).capitalize() for start in STARTS for end in ENDS]
    lasts = [
        (start + end + last).capitalize()
        for start in STARTS
        for end in ENDS[:6]
        for last in FAMILIES
    ]
    dropped = await _drop_indexes(database)
    names = [f"Firm{number} {FIELDS[number % len(FIELDS)]}" for number in firms]
    await database.execute(
        SQL.add_companies, ids=company_ids, domains=domains, names=names, begin=begin
    )
    drawn = {
        "company_ids": company_ids,
        "fields": list(FIELDS),
        "firsts": firsts,
        "lasts": lasts,
        "countries": list(COUNTRIES),
        "titles": [f"{level} {field}" for field in FIELDS for level in LEVELS],
        "owners": owners,
        "tags": list(TAGS),
        "icp_ids": icp_ids,
        "run_ids": run_ids,
    }
    for first in range(0, count, CHUNK):
        last = min(first + CHUNK, count) - 1
        async with database.transaction() as tx:
            await tx.execute(SQL.set_seed, seed=((seed + first) % 1_000) / 1_000)
            await tx.execute(
                SQL.add_leads, **drawn, begin=begin, first=first, last=last, count=count
            )
        await _add_facts(database, begin + STEP * first, begin + STEP * (last + 1))
    for definition in dropped:
        await database.execute(Query("make_index", definition, ()))
    await database.execute(SQL.tidy)
    return Filled(
        count,
        tuple(icp_ids),
        tuple(run_ids),
        tuple(owners),
        TAGS,
        COUNTRIES,
        tuple(domains),
        tuple(lasts),
    )


async def _drop_indexes(database: Database) -> list[str]:
    indexes = await database.fetch(SQL.find_indexes)
    for row in indexes:
        await database.execute(Query("drop_index", row["dropping"], ()))
    return [row["making"] for row in indexes]


async def _add_facts(database: Database, from_at: datetime, to_at: datetime) -> None:
    async def add(*queries: Query) -> None:
        for query in queries:
            await database.execute(query, from_at=from_at, to_at=to_at)

    async with anyio.create_task_group() as group:
        group.start_soon(add, SQL.add_values)
        group.start_soon(add, SQL.add_words, SQL.add_keys, SQL.add_snapshots, SQL.add_scores)


async def fill_url(url: str, count: int = 1_000_000, seed: int = 7) -> Filled:
    """Fill the migrated database behind a URL, with patience for the slow statements."""
    settings = Settings(url=url, statement_timeout_seconds=PATIENCE_SECONDS)
    async with open_database(settings) as database:
        return await fill(database, count, seed)
