"""Readiness: whether this node can work: database, migrations, stages, its secret."""

from collections.abc import Awaitable, Callable

from anyio import to_thread

from leadflood.engine.db.migrations import newest_revision
from leadflood.engine.obs.health import Check, check_migrations, check_stages, run_check
from leadflood.engine.queue import repository
from leadflood.engine.runtime import Engine


class Readiness:
    """Checks this node, for whoever sends it requests."""

    def __init__(self, engine: Engine, find_secret_trouble: Callable[[], Awaitable[str]]) -> None:
        self._engine = engine
        self._find_secret_trouble = find_secret_trouble
        self._db = engine.parts.db
        self._newest_revision: str | None = None

    async def check(self) -> list[Check]:
        """Check the database and, where it answers, its migrations; the secret, the stages."""
        checks = [await run_check("database", self._ask_database)]
        if checks[0].ok:
            checks.append(await check_migrations(self._db, await self._find_newest_revision()))
        runners = self._engine.runners
        paused = [name for name, runner in runners.items() if runner.is_paused]
        trouble = await self._find_secret_trouble()
        checks.append(Check("secret", ok=not trouble, detail=trouble or "as it was at the start"))
        checks.append(check_stages(self._engine.why_not_ready(), paused))
        return checks

    async def _ask_database(self) -> str:
        await repository.find_era(self._db)
        return "answers"

    async def _find_newest_revision(self) -> str | None:
        if self._newest_revision is None:
            self._newest_revision = await to_thread.run_sync(newest_revision)
        return self._newest_revision
