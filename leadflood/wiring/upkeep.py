"""Upkeep: what a node does beside its stages, each duty an actor of its own."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from anyio import to_thread

from leadflood.api.http import idempotency
from leadflood.contracts.normalization.country_names import read_names
from leadflood.domain.auth.retention import prune as prune_auth
from leadflood.domain.duplicates.service import DuplicateSearch
from leadflood.domain.imports.retention import prune as prune_uploads
from leadflood.domain.notifications.retention import prune as prune_notifications
from leadflood.domain.notifications.service.event_notifier import EventNotifier
from leadflood.domain.sending.service.unknown_sends import UnknownSends
from leadflood.domain.sending.service.waiting_sends import WaitingSends
from leadflood.engine.actors.supervisor import Child
from leadflood.engine.db.statistics import analyze_grown_tables
from leadflood.engine.ledger.answers import forget_answers
from leadflood.engine.ledger.budgets import prune_budgets
from leadflood.engine.ledger.repository import resolve_orphans
from leadflood.engine.net.gateway import ProviderGateway
from leadflood.engine.obs.log import log
from leadflood.engine.queue.maintenance.loop import drain, repeat
from leadflood.engine.queue.periodic import SYSTEM_HEARTBEAT, Scheduler
from leadflood.engine.runtime import Engine
from leadflood.wiring.storage import Storage

ORPHANS_SECONDS = 2.0
LOOK_UP_SECONDS = 30.0
WAITING_SECONDS = 3.0
PRUNE_SECONDS = 600.0
STATISTICS_SECONDS = 5.0
COUNTRY_NAMES_AFTER_SECONDS = 3.0


class Upkeep:
    """The duties of a node beside its stages."""

    def __init__(
        self,
        storage: Storage,
        engine: Engine,
        gateway: ProviderGateway,
        unknown_sends: UnknownSends,
        waiting_sends: WaitingSends,
        notifier: EventNotifier,
    ) -> None:
        self._storage = storage
        self._publisher = engine.publisher
        self._guard = engine.guard
        self._gateway = gateway
        self._unknown_sends = unknown_sends
        self._waiting_sends = waiting_sends
        self._notifier = notifier
        self._duplicates = DuplicateSearch(storage.settings.duplicates, storage.ids, storage.clock)
        self._secret_trouble = ""

    def actors(self) -> Sequence[Child]:
        """Return an actor for each duty."""
        storage = self._storage
        beat_seconds = storage.settings.engine.heartbeat.beat_seconds
        schedule = Scheduler(storage.db, storage.clock, self._publisher, (SYSTEM_HEARTBEAT,))
        children = [
            Child("schedule", schedule.run),
            Child("gate", self._gateway.run),
            Child("country-names", self._read_country_names, optional=True, may_end=True),
            _repeating("orphans", ORPHANS_SECONDS, self._settle_orphans, optional=False),
            _repeating("secret", beat_seconds, self._check_secret, optional=False),
            _repeating("look-up", LOOK_UP_SECONDS, self._unknown_sends.settle_by_lookup),
            _repeating("statistics", STATISTICS_SECONDS, self._analyze),
            _repeating("waiting-sends", WAITING_SECONDS, self._resume_waiting, optional=False),
            _repeating("answers", PRUNE_SECONDS, self._prune),
            _repeating("duplicates", storage.settings.duplicates.look_seconds, self._find_twins),
            _repeating("notifications", storage.settings.notifications.look_seconds, self._notify),
        ]
        if storage.server is not None:
            children.append(Child("postgres", storage.server.watch))
        return children

    async def _read_country_names(self) -> None:
        """Read in a thread what would hold up the loop when somebody asks for it first.

        It takes 0.6 s, which a node that has just started has better uses for.
        """
        await self._storage.clock.sleep(COUNTRY_NAMES_AFTER_SECONDS)
        await to_thread.run_sync(read_names, abandon_on_cancel=True)

    async def _check_secret(self) -> None:
        """Tell once what became of the secret. Raises: Conflict where the database has another."""
        secrets = self._storage.master_secrets
        await secrets.check()
        before, self._secret_trouble = self._secret_trouble, await secrets.find_trouble()
        if self._secret_trouble not in {before, ""}:
            log.error("accounts.secret.in_danger", reason=self._secret_trouble)

    async def _settle_orphans(self) -> None:
        """Settle what nobody has in hand: lost nodes' lines and sends, our own unknown lines."""
        lines = await resolve_orphans(self._storage.db, self._storage.clock.now())
        lines += await self._gateway.release_unknown()
        intents = await self._unknown_sends.settle_lost()
        if lines or intents:
            log.info("engine.orphans.settled", lines=lines, intents=intents)

    async def _resume_waiting(self) -> None:
        """Let messages go whose setting is made, or whose run has money again."""
        if count := await self._waiting_sends.resume():
            log.info("messaging.waiting.resumed", count=count)

    async def _find_twins(self) -> None:
        """Compare leads that changed with the others."""
        if new_count := await self._duplicates.run(self._storage.db, self._publisher):
            log.info("leads.duplicates.found", count=new_count)

    async def _analyze(self) -> None:
        """Bring what the planner knows of tables up to date."""
        await analyze_grown_tables(self._storage.db)

    async def _notify(self) -> None:
        await self._notifier.poll(self._publisher)

    async def _prune(self) -> None:
        """Delete what is past its retention, slice by slice."""
        db, settings = self._storage.db, self._storage.settings
        now = await self._guard.agree_on_now(db)
        if now is None:
            return
        await drain(lambda: prune_notifications(db, settings.notifications, now))
        await drain(lambda: forget_answers(db, now))
        run_days = settings.engine.maintenance.run_days
        await drain(lambda: prune_budgets(db, now - timedelta(days=run_days)))
        await drain(lambda: idempotency.prune(db, now))
        await drain(lambda: prune_auth(db, settings.accounts, now))
        await drain(lambda: self._prune_uploads(now))
        await self._duplicates.prune(db)

    async def _prune_uploads(self, now: datetime) -> int:
        async with self._storage.db.transaction() as tx:
            return await prune_uploads(tx, now)


def _repeating(
    name: str, seconds: float, duty: Callable[[], Awaitable[object]], *, optional: bool = True
) -> Child:
    return Child(name, lambda: repeat(seconds, duty, name), optional=optional)
