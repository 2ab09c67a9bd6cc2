"""The composition root: settings, storage, services, engine, API.

Every part is built here in this order, started in order and stopped in reverse:
`open_storage` makes a `Storage` of the settings, `open_node` runs a node on it, `serve_node` its
API. How one part is built of others stands in `wiring`.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import UUID

import msgspec

from leadflood.api.application import Announce, serve_api
from leadflood.api.http.in_flight import InFlightRequests
from leadflood.api.services import Services
from leadflood.contracts.parts import StageParts
from leadflood.domain.discovery.service import DiscoveryService
from leadflood.domain.notifications.service.event_notifier import EventNotifier
from leadflood.domain.runs.schemas import BudgetDefaults
from leadflood.domain.suppressions.schemas import AddressKey
from leadflood.engine.actors.supervisor import Child
from leadflood.engine.clock import REAL_TIME, Clock, SystemClock
from leadflood.engine.control.parts import ControlParts, make_control
from leadflood.engine.db import migrations
from leadflood.engine.db.embedded import embedded_postgres
from leadflood.engine.db.pool import open_database
from leadflood.engine.db.server_checks import require_usable
from leadflood.engine.net.calls import Http
from leadflood.engine.net.client import open_client
from leadflood.engine.obs.sentry import Settings as SentrySettings, reporting
from leadflood.engine.obs.tracing import tracing
from leadflood.engine.queue.event_routes import EventRoutes
from leadflood.engine.queue.parts import CrashPoint, no_crash
from leadflood.engine.queue.publisher import Publisher
from leadflood.engine.queue.stage import Stage
from leadflood.engine.runtime import Engine, EngineParts, running_engine
from leadflood.pipeline import STAGES, STEPS
from leadflood.providers import catalog
from leadflood.settings import Settings
from leadflood.wiring.gateway import build_gateway
from leadflood.wiring.messaging import Messaging, messaging_settings
from leadflood.wiring.services import ServiceParts, build_services
from leadflood.wiring.storage import Storage
from leadflood.wiring.upkeep import Upkeep

Report = Callable[[str], None]
WHOLE_NODE = "leadflood"
HELPER_NODE = "leadflood run"
"""The name of a node that works for its own runs only: nobody may hand it work."""


@asynccontextmanager
async def open_storage(
    settings: Settings,
    clock: Clock | None = None,
    report: Report | None = None,
    *,
    migrate: bool = True,
    begin_empty: bool = False,
    creates: bool = True,
) -> AsyncIterator[Storage]:
    """Open the embedded server, or the one DATABASE_URL names, and upgrade its tables.

    `begin_empty` empties the database of the embedded server first; never that of a URL.
    `creates`: whether a data folder without a database gets one.
    """
    clock = clock or SystemClock()
    async with AsyncExitStack() as stack:
        server = None
        database = settings.database
        if not database.url:
            folder = settings.data_folder()
            server = await stack.enter_async_context(
                embedded_postgres(folder, REAL_TIME, report, creates=creates)
            )
            database = msgspec.structs.replace(database, url=server.url)
            if begin_empty:
                await server.make_empty()
        await require_usable(database)
        if migrate:
            await migrations.upgrade(database)
        db = await stack.enter_async_context(open_database(database))
        yield Storage(settings, clock, database, db, server)


class NodeLife:
    """One life of the node: the gateway, the providers and the services on one engine.

    `ports` are the configured providers by what they do, `adapters` the same by name.
    """

    def __init__(
        self,
        storage: Storage,
        http: Http,
        engine: Engine,
        in_flight: InFlightRequests,
        crash_point: CrashPoint | None,
    ) -> None:
        settings, clock = storage.settings, storage.clock
        self.storage = storage
        self.engine, self.publisher = engine, engine.publisher
        self.gate, self.live_overrides = build_gateway(storage, engine, crash_point)
        self.adapters = catalog.build_adapters(
            settings.providers, self.gate, http, clock, settings.budget.currency
        )
        self.ports = catalog.group_by_port(
            self.adapters, catalog.list_missing_senders(settings.providers)
        )
        self.messaging = storage.messaging(self.publisher, self.ports.senders)
        self.notifier = EventNotifier(clock, storage.ids)
        self.services = build_services(
            ServiceParts(
                storage=storage,
                engine=engine,
                control=make_control(self._control_parts()),
                messaging=self.messaging,
                discovery=DiscoveryService(clock, list(self.ports.sources)),
                in_flight=in_flight,
            )
        )

    def _control_parts(self) -> ControlParts:
        settings = self.storage.settings
        return ControlParts(
            engine=self.engine,
            gateway=self.gate,
            live_overrides=self.live_overrides,
            provider_names=tuple(settings.providers),
            configured=frozenset(self.adapters),
            currency=settings.budget.currency,
            explain_settings=self.storage.explain_settings,
            find_secret_trouble=self.storage.master_secrets.find_trouble,
        )

    def stages(self) -> Sequence[Stage[Any, Any, Any]]:
        """Build the stages of the pipeline."""
        storage, settings = self.storage, self.storage.settings
        complete = msgspec.structs.replace(settings, messaging=messaging_settings(settings))
        parts = StageParts(
            ids=storage.ids,
            clock=storage.clock,
            ports=self.ports,
            settings={
                **complete.by_struct(),
                AddressKey: storage.address_key(),
                BudgetDefaults: storage.budget,
            },
        )
        return [stage.build(settings.stages[name], parts) for name, stage in STAGES.items()]

    def actors(self) -> Sequence[Child]:
        """Return what runs beside the stages."""
        messaging = self.messaging
        return Upkeep(
            self.storage,
            self.engine,
            self.gate,
            messaging.unknown_sends,
            messaging.waiting_sends,
            self.notifier,
        ).actors()


class Node:
    """This process as a node; an evicted node starts again with a new life."""

    def __init__(self, storage: Storage, http: Http, crash_point: CrashPoint | None = None) -> None:
        self.storage = storage
        self.http = http
        self._in_flight = InFlightRequests()
        self._crash_point = crash_point
        self._life: NodeLife | None = None

    def start_life(self, engine: Engine) -> Sequence[Stage[Any, Any, Any]]:
        """Start a life on an engine; return its stages."""
        life = NodeLife(self.storage, self.http, engine, self._in_flight, self._crash_point)
        self._life = life
        return life.stages()

    @property
    def life(self) -> NodeLife:
        """The present life."""
        if self._life is None:
            raise RuntimeError("the node has not started")
        return self._life

    @property
    def engine(self) -> Engine:
        """The engine of the present life."""
        return self.life.engine

    @property
    def services(self) -> Services:
        """The services of the present life."""
        return self.life.services

    @property
    def publisher(self) -> Publisher:
        """The publisher of the present life."""
        return self.life.publisher

    @property
    def messaging(self) -> Messaging:
        """The services of messages of the present life."""
        return self.life.messaging

    async def close(self) -> None:
        """Close what the adapters hold open."""
        if self._life is not None:
            await catalog.close_all(list(self._life.adapters.values()))


@asynccontextmanager
async def open_node(
    storage: Storage,
    *,
    only_runs: tuple[UUID, ...] = (),
    seed: int | None = None,
    crash_point: CrashPoint | None = None,
) -> AsyncIterator[Node]:
    """Run this process as a node until the block ends.

    `crash_point` is called at the crash points of commits and calls: tests kill the process there.
    Raises: Conflict (the master secret is lost, or another one).
    """
    settings = storage.settings
    await storage.master_secrets.prove()
    async with (
        tracing(settings.trace),
        _reporting(settings.sentry),
        open_client(settings.net) as http,
    ):
        node = Node(storage, http, crash_point)
        parts = EngineParts(
            db=storage.db,
            database=storage.database,
            clock=storage.clock,
            ids=storage.ids,
            routes=EventRoutes(STEPS),
            settings=settings.engine,
            mode=settings.mode,
            name=HELPER_NODE if only_runs else WHOLE_NODE,
            lock_folder=settings.data_folder() / "nodes",
            seed=seed,
            only_runs=only_runs,
            crash_point=crash_point or no_crash,
            disk=storage.disk,
        )
        try:
            async with running_engine(parts, node.start_life, lambda _: node.life.actors()):
                yield node
        finally:
            await node.close()


async def serve_node(node: Node, announce: Announce | None = None) -> None:
    """Serve the API of a node until cancelled; `announce` is called with the address.

    Raises: Conflict (port taken, another master secret).
    """
    await serve_api(node, node.storage.settings.http, announce)


@asynccontextmanager
async def _reporting(settings: SentrySettings) -> AsyncIterator[None]:
    with reporting(settings):
        yield
