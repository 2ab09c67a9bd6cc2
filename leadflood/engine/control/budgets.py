"""Control of budgets: the caps over all providers, and those of the runs that go on."""

from functools import partial

from leadflood.engine.control.overrides import with_caps
from leadflood.engine.control.providers import show_author
from leadflood.engine.control.schemas import BudgetChange, BudgetView, RunMoney
from leadflood.engine.db.tx import Tx
from leadflood.engine.ledger import budgets as budget_rows, override_rows, usage
from leadflood.engine.ledger.budgets import Budget
from leadflood.engine.ledger.override_rows import ALL, OverrideAuthor
from leadflood.engine.ledger.usage import CapUse
from leadflood.engine.live_overrides import LiveOverrides
from leadflood.engine.queue import runs, switches
from leadflood.engine.queue.runs import Run
from leadflood.engine.runtime import Engine

MAX_RUNS = 50


class BudgetControl:
    """Shows and changes the caps over all providers. Amounts are in millionths of `currency`."""

    def __init__(self, engine: Engine, live_overrides: LiveOverrides, currency: str) -> None:
        self._engine = engine
        self._db = engine.parts.db
        self._clock = engine.parts.clock
        self._live_overrides = live_overrides
        self._currency = currency

    async def get(self) -> BudgetView:
        """Return the caps over all providers and what is used of them, and of each open run's."""
        used = await usage.read_caps(
            self._db, {ALL: self._live_overrides.caps.all}, self._clock.now()
        )
        open_lines = await usage.sum_open(self._db)
        row = self._live_overrides.get(ALL)
        return BudgetView(
            version=row.version,
            currency=self._currency,
            use=used[ALL],
            open=usage.join(open_lines.values()),
            runs=await self._list_runs(),
            last_set=show_author(row),
        )

    async def get_refreshed(self) -> BudgetView:
        """Put committed changes in force on this node; return the caps after that."""
        await self._engine.switches.refresh()
        return await self.get()

    async def change(self, tx: Tx, change: BudgetChange, author: OverrideAuthor) -> None:
        """Change the caps over all providers; nodes follow in a second.

        Raises: PreconditionFailed.
        """
        apply = partial(with_caps, change=change)
        await override_rows.change(tx, ALL, apply, author, self._clock.now())
        await switches.notify_nodes(tx)

    async def _list_runs(self) -> tuple[RunMoney, ...]:
        """List what open runs may cost and have cost, newest first."""
        open_runs = await runs.list_open(self._db, MAX_RUNS)
        budgets = await budget_rows.find_budgets(self._db, [f"run:{run.id}" for run in open_runs])
        by_scope = {budget.scope: budget for budget in budgets}
        return tuple([_show_run(run, by_scope.get(f"run:{run.id}")) for run in open_runs])


def _show_run(run: Run, budget: Budget | None) -> RunMoney:
    use = CapUse(
        cap_micros=run.cap_micros,
        spent_micros=0 if budget is None else budget.spent_micros,
        reserved_micros=0 if budget is None else budget.reserved_micros,
    )
    return RunMoney(run_id=run.id, title=run.title, use=use)
