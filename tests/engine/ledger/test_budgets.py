"""What is used of a cap is kept as long as its run."""

from datetime import UTC, datetime, timedelta

from leadflood.engine.db.pool import Database
from leadflood.engine.ids import id_at
from leadflood.engine.ledger.budgets import find_budgets, prune_budgets
from tests.support.statements import sql

NOW = datetime(2026, 11, 1, tzinfo=UTC)


async def test_budgets_of_old_runs_and_of_their_leads_are_pruned_those_of_days_kept(
    database: Database,
) -> None:
    old, young = (id_at(NOW - timedelta(days=days)) for days in (200, 20))
    of_runs = [f"{kind}:{run}" for run in (old, young) for kind in ("lead", "run")]
    scopes = [*of_runs, "all:day:2026-01-01"]
    for scope in scopes:
        await database.execute(sql("INSERT INTO budget (scope) VALUES ($1)", "scope"), scope=scope)
    held = f"lead:{old}:held"
    await database.execute(
        sql("INSERT INTO budget (scope, reserved_micros) VALUES ($1, 1)", "scope"), scope=held
    )

    assert await prune_budgets(database, NOW - timedelta(days=180)) == 2

    left = {budget.scope for budget in await find_budgets(database, [*scopes, held])}
    assert left == {*scopes[2:], held}
