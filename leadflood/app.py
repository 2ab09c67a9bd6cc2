"""The composition root: builds every part, starts them in order, stops them in reverse."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import UUID

import msgspec

from leadflood.api.http import idempotency
from leadflood.api.http.in_flight import InFlightRequests
from leadflood.api.services import Services
from leadflood.contracts.parts import StageParts
from leadflood.contracts.ports.sender import Sender
from leadflood.contracts.values import Channel
from leadflood.domain.activities.service import ActivityService
from leadflood.domain.audit.service import AuditTrail
from leadflood.domain.auth.retention import prune as prune_auth
from leadflood.domain.auth.service.accounts import Accounts
from leadflood.domain.auth.service.lead_ownership import LeadOwnership
from leadflood.domain.auth.service.one_time_links import OneTimeLinks
from leadflood.domain.auth.service.user_accounts import UserAccounts
from leadflood.domain.bulk_actions.service import BulkActionService
from leadflood.domain.companies.service import CompanyService
from leadflood.domain.discovery.service import DiscoveryService, SearchService
from leadflood.domain.drafting.schemas import Settings as MessagingSettings
from leadflood.domain.drafting.service.templates import TemplateService
from leadflood.domain.icp.service.icps import IcpService
from leadflood.domain.imports.retention import prune as prune_uploads
from leadflood.domain.imports.service.dry_run import ImportPreviews
from leadflood.domain.imports.service.imports import ImportService
from leadflood.domain.imports.service.uploads import ImportUploads
from leadflood.domain.lead_views.service.exports import LeadExports
from leadflood.domain.lead_views.service.icp_previews import IcpPreviews
from leadflood.domain.lead_views.service.lists import LeadLists
from leadflood.domain.lead_views.service.pages import LeadPages
from leadflood.domain.leads.service.creation import LeadCreation
from leadflood.domain.leads.service.editing import LeadEditing
from leadflood.domain.leads.service.leads import LeadService
from leadflood.domain.leads.service.merging import LeadMerging
from leadflood.domain.leads.service.reprocessing import LeadReprocessing
from leadflood.domain.learning.service import LearningService
from leadflood.domain.messages.service.approval import MessageApproval
from leadflood.domain.messages.service.messages import MessageService
from leadflood.domain.notifications.retention import prune as prune_notifications
from leadflood.domain.notifications.service.event_notifier import EventNotifier
from leadflood.domain.notifications.service.notifications import NotificationService
from leadflood.domain.runs.schemas import BudgetDefaults
from leadflood.domain.runs.service.jobs import JobService
from leadflood.domain.runs.service.runs import RunService
from leadflood.domain.scoring.service import ScoringService
from leadflood.domain.sending.service.outbox import Outbox
from leadflood.domain.sending.service.switch import SendingSwitch
from leadflood.domain.sending.service.unknown_sends import UnknownSends
from leadflood.domain.suppressions.service.opt_ins import OptInService
from leadflood.domain.suppressions.service.suppressions import SuppressionService
from leadflood.domain.suppressions.service.unsubscribing import UnsubscribeService
from leadflood.domain.users.service.lead_owners import LeadOwners
from leadflood.domain.users.service.team_settings import TeamSettings
from leadflood.domain.users.service.users import Users
from leadflood.engine import secret_files
from leadflood.engine.actors.supervisor import Child
from leadflood.engine.clock import REAL_TIME, Clock, SystemClock
from leadflood.engine.control.parts import Control, ControlParts, make_control
from leadflood.engine.db import migrations
from leadflood.engine.db.embedded import EmbeddedServer, embedded_postgres
from leadflood.engine.db.pool import Database, Settings as DatabaseSettings, open_database
from leadflood.engine.db.server_checks import require_usable
from leadflood.engine.ids import Ids
from leadflood.engine.ledger.answers import forget_answers
from leadflood.engine.ledger.caps import Caps, Settings as LedgerSettings
from leadflood.engine.ledger.rate_limits import PostgresAllowance
from leadflood.engine.ledger.repository import PostgresLedger, resolve_orphans
from leadflood.engine.live_overrides import LiveOverrides
from leadflood.engine.net.calls import Http
from leadflood.engine.net.client import open_client
from leadflood.engine.net.gateway import GatewayParts as GateParts, ProviderGateway
from leadflood.engine.net.limiter import Limiter
from leadflood.engine.net.providers import Provider as GateProvider
from leadflood.engine.obs.log import log
from leadflood.engine.obs.sentry import Settings as SentrySettings, reporting
from leadflood.engine.obs.tracing import tracing
from leadflood.engine.queue.dispatcher import Dispatcher
from leadflood.engine.queue.event_routes import EventRoutes
from leadflood.engine.queue.maintenance.loop import drain, repeat
from leadflood.engine.queue.parts import CrashPoint, no_crash
from leadflood.engine.queue.periodic import SYSTEM_HEARTBEAT, Scheduler
from leadflood.engine.queue.publisher import Publisher
from leadflood.engine.queue.stage import Stage
from leadflood.engine.queue.wakeups import Wakeups
from leadflood.engine.runtime import Engine, EngineParts, running_engine
from leadflood.pipeline import STAGES, STEPS
from leadflood.providers import catalog
from leadflood.settings import Settings, explain_settings

Report = Callable[[str], None]
ORPHANS_SECONDS = 2.0
LOOK_UP_SECONDS = 30.0
FORGET_SECONDS = 600.0
WHOLE_NODE = "leadflood"
HELPER_NODE = "leadflood run"
"""The name of a node that works for its own runs only: nobody may hand it work."""
STAGE_NAMES = tuple(STAGES)


class Messaging(msgspec.Struct, frozen=True, kw_only=True):
    """The services of messages, from drafts to suppressions."""

    messages: MessageService
    approval: MessageApproval
    templates: TemplateService
    outbox: Outbox
    sending: SendingSwitch
    unknown_sends: UnknownSends
    suppressions: SuppressionService
    opt_ins: OptInService
    unsubscribing: UnsubscribeService


class Storage:
    """A migrated, usable database, with the services that need no node."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        database: DatabaseSettings,
        db: Database,
        server: EmbeddedServer | None,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.database = database
        self.db = db
        self.server = server
        self.ids = Ids(clock)
        self.audit = AuditTrail(self.ids, clock)
        self.accounts = Accounts(db, self.ids, clock, settings.accounts, self._read_accounts_secret)
        self.users = Users(
            db, UserAccounts(clock, self.ids), OneTimeLinks(clock, settings.accounts)
        )
        self.team = TeamSettings(db)
        self.icps = IcpService(db, self.ids, clock)
        self.budget = msgspec.convert(settings.budget, BudgetDefaults, from_attributes=True)
        self.runs = RunService(db, self.ids, clock, self.budget)
        self.scores = ScoringService(db)

    def explain_settings(self) -> Sequence[tuple[str, str, str]]:
        """Return every effective setting: path, value (secrets masked), source."""
        return explain_settings(self.settings)

    def _read_accounts_secret(self) -> str:
        return secret_files.read_or_create(self.settings.data_folder() / "accounts.secret")

    def producer(self) -> Publisher:
        """Return a publisher for a process that is no node: its jobs are queued for the nodes."""
        wakeups = Wakeups()
        channels: dict[str, Any] = dict.fromkeys(STAGE_NAMES)
        dispatcher = Dispatcher(EventRoutes(STEPS), channels, None, wakeups, self.ids, self.clock)
        return Publisher(self.db, dispatcher, None, wakeups)

    def messaging(
        self, publisher: Publisher, senders: Mapping[Channel, Sender] | None = None
    ) -> Messaging:
        """Build the services of messages."""
        db, ids, clock = self.db, self.ids, self.clock
        settings = messaging_settings(self.settings)
        outbox = Outbox(settings, clock, senders)
        return Messaging(
            messages=MessageService(db),
            approval=MessageApproval(settings, clock, ids, outbox),
            templates=TemplateService(db, settings, ids, clock),
            outbox=outbox,
            sending=SendingSwitch(db, clock),
            unknown_sends=UnknownSends(db, publisher, settings, clock, senders),
            suppressions=SuppressionService(db, settings, ids, clock),
            opt_ins=OptInService(db, settings, ids, clock),
            unsubscribing=UnsubscribeService(db, settings, ids, clock),
        )


@asynccontextmanager
async def open_storage(
    settings: Settings,
    clock: Clock | None = None,
    report: Report | None = None,
    *,
    migrate: bool = True,
    begin_empty: bool = False,
) -> AsyncIterator[Storage]:
    """Open the embedded server, or the one DATABASE_URL names, and upgrade its tables.

    `begin_empty` empties the database of the embedded server first; never that of a URL.
    """
    clock = clock or SystemClock()
    async with AsyncExitStack() as stack:
        server = None
        database = settings.database
        if not database.url:
            folder = settings.data_folder()
            server = await stack.enter_async_context(embedded_postgres(folder, REAL_TIME, report))
            database = msgspec.structs.replace(database, url=server.url)
            if begin_empty:
                await server.make_empty()
        await require_usable(database)
        if migrate:
            await migrations.upgrade(database)
        db = await stack.enter_async_context(open_database(database))
        yield Storage(settings, clock, database, db, server)


def messaging_settings(settings: Settings) -> MessagingSettings:
    """Return the messaging settings with the public URL and the key of the suppression hashes."""
    messaging = settings.messaging
    if not messaging.public_url and settings.http.public_url:
        messaging = msgspec.structs.replace(messaging, public_url=settings.http.public_url)
    if not messaging.hash_secret:
        secret = secret_files.read_or_create(settings.data_folder() / "hash.secret")
        messaging = msgspec.structs.replace(messaging, hash_secret=secret)
    return messaging


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
        settings = storage.settings
        caps = LedgerSettings(
            Caps(settings.budget.day_micros, settings.budget.month_micros), settings.caps()
        )
        ledger = PostgresLedger(caps)
        self.storage = storage
        self.engine, self.publisher = engine, engine.publisher
        self._in_flight = in_flight
        self.gate = ProviderGateway(self._gate_parts(ledger, crash_point), settings.gate)
        self.live_overrides = LiveOverrides(engine, self.gate, ledger, caps)
        engine.switches.follow(self.live_overrides.refresh)
        self.adapters = catalog.build_adapters(settings.providers, self.gate, http, storage.clock)
        self.ports = catalog.group_by_port(self.adapters)
        self.messaging = storage.messaging(self.publisher, self.ports.senders)
        self.discovery = DiscoveryService(storage.clock, list(self.ports.sources))
        self.notifier = EventNotifier(storage.clock, storage.ids)
        self.services = self._make_services()

    def _make_services(self) -> Services:
        storage, settings = self.storage, self.storage.settings
        db, ids, clock = storage.db, storage.ids, storage.clock
        leads, lead_lists, owners = LeadService(), LeadLists(db), LeadOwnership(db)
        lead_owners = LeadOwners(storage.users)
        return Services(
            db=db,
            ids=ids,
            clock=clock,
            publisher=self.publisher,
            accounts=storage.accounts,
            audit=storage.audit,
            in_flight=self._in_flight,
            users=storage.users,
            team=storage.team,
            icps=storage.icps,
            runs=storage.runs,
            jobs=JobService(db, owners),
            leads=leads,
            lead_creation=LeadCreation(
                storage.icps, self.messaging.opt_ins, storage.runs, ids, clock
            ),
            lead_editing=LeadEditing(ids, clock),
            lead_merging=LeadMerging(ids, clock),
            lead_owners=lead_owners,
            lead_reprocessing=LeadReprocessing(storage.runs),
            lead_lists=lead_lists,
            lead_pages=LeadPages(db, leads, self.messaging.messages, self.messaging.opt_ins),
            exports=LeadExports(db, lead_lists, storage.audit),
            previews=IcpPreviews(storage.scores),
            companies=CompanyService(ids, clock),
            activities=ActivityService(ids, clock),
            imports=ImportService(
                db, clock, storage.icps, lead_owners, storage.runs, tuple(settings.providers)
            ),
            import_uploads=ImportUploads(ids, clock),
            import_previews=ImportPreviews(db, clock),
            bulk=BulkActionService(db, clock, storage.runs, lead_lists),
            learning=LearningService(db, ids, clock, leads, storage.icps),
            owners=owners,
            notifications=NotificationService(db, clock),
            scores=storage.scores,
            messages=self.messaging.messages,
            approval=self.messaging.approval,
            templates=self.messaging.templates,
            sending=self.messaging.sending,
            unknown_sends=self.messaging.unknown_sends,
            suppressions=self.messaging.suppressions,
            opt_ins=self.messaging.opt_ins,
            unsubscribing=self.messaging.unsubscribing,
            discovery=self.discovery,
            searches=SearchService(db, ids, self.discovery, storage.icps, storage.runs),
            engine=self.engine,
            control=self._make_control(),
            provider_names=tuple(settings.providers),
            budget=storage.budget,
            public_url=settings.http.public_url,
        )

    def _make_control(self) -> Control:
        settings = self.storage.settings
        return make_control(
            ControlParts(
                engine=self.engine,
                gateway=self.gate,
                live_overrides=self.live_overrides,
                provider_names=tuple(settings.providers),
                configured=frozenset(self.adapters),
                currency=settings.budget.currency,
                explain_settings=self.storage.explain_settings,
            )
        )

    def _gate_parts(self, ledger: PostgresLedger, crash_point: CrashPoint | None) -> GateParts:
        storage, settings, engine = self.storage, self.storage.settings, self.engine
        allowance = PostgresAllowance(storage.db)
        return GateParts(
            db=storage.db,
            ledger=ledger,
            limiter=Limiter(allowance, storage.clock, settings.gate.limiter),
            clock=storage.clock,
            ids=storage.ids,
            node_id=lambda: engine.node.id,
            providers=_gateway_providers(settings),
            is_allowed=lambda name: not engine.switches.is_off(name),
            crash_point=crash_point,
        )

    def stages(self) -> Sequence[Stage[Any, Any, Any]]:
        """Build the stages of the pipeline."""
        storage, settings = self.storage, self.storage.settings
        complete = msgspec.structs.replace(settings, messaging=messaging_settings(settings))
        parts = StageParts(
            ids=storage.ids, clock=storage.clock, ports=self.ports, settings=complete.by_struct()
        )
        return [stage.build(settings.stages[name], parts) for name, stage in STAGES.items()]

    def actors(self) -> Sequence[Child]:
        """Return what runs beside the stages."""
        storage = self.storage
        schedule = Scheduler(storage.db, storage.clock, self.publisher, (SYSTEM_HEARTBEAT,))
        children = [
            Child("schedule", schedule.run),
            Child("gate", self.gate.run),
            _repeating("orphans", ORPHANS_SECONDS, self._settle_orphans, optional=False),
            _repeating("look-up", LOOK_UP_SECONDS, self.messaging.unknown_sends.settle_by_lookup),
            _repeating("answers", FORGET_SECONDS, self._prune),
            _repeating("notifications", storage.settings.notifications.look_seconds, self._notify),
        ]
        if storage.server is not None:
            children.append(Child("postgres", storage.server.watch))
        return children

    async def _settle_orphans(self) -> None:
        """Settle the money and sends of lost nodes: unresolved lines, unknown intents."""
        lines = await resolve_orphans(self.storage.db, self.storage.clock.now())
        intents = await self.messaging.unknown_sends.settle_lost()
        if lines or intents:
            log.info("engine.orphans.settled", lines=lines, intents=intents)

    async def _notify(self) -> None:
        await self.notifier.poll(self.publisher)

    async def _prune(self) -> None:
        """Delete what is past its retention, slice by slice."""
        db, settings, now = self.storage.db, self.storage.settings, self.storage.clock.now()
        await drain(lambda: prune_notifications(db, settings.notifications, now))
        await drain(lambda: forget_answers(db, now))
        await drain(lambda: idempotency.prune(db, now))
        await drain(lambda: prune_auth(db, settings.accounts, now))
        await drain(self._forget_uploads)

    async def _forget_uploads(self) -> int:
        storage = self.storage
        async with storage.db.transaction() as tx:
            return await prune_uploads(tx, storage.clock.now())


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


def _repeating(
    name: str, seconds: float, duty: Callable[[], Awaitable[object]], *, optional: bool = True
) -> Child:
    return Child(name, lambda: repeat(seconds, duty, name), optional=optional)


def _gateway_providers(settings: Settings) -> dict[str, GateProvider]:
    return {
        name: GateProvider(
            limits={**entry.spec.limits, **settings.providers[name].limits},
            api_key=_fingerprint(settings.providers[name].api_key),
            documented=entry.spec.limits,
        )
        for name, entry in catalog.CATALOG.items()
    }


def _fingerprint(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:16] if key else ""


@asynccontextmanager
async def _reporting(settings: SentrySettings) -> AsyncIterator[None]:
    with reporting(settings):
        yield


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
    """
    settings = storage.settings
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
            settings=msgspec.structs.replace(storage.settings.engine, mode=storage.settings.mode),
            name=HELPER_NODE if only_runs else WHOLE_NODE,
            lock_folder=storage.settings.data_folder() / "nodes",
            seed=seed,
            only_runs=only_runs,
            crash_point=crash_point or no_crash,
        )
        try:
            async with running_engine(parts, node.start_life, lambda _: node.life.actors()):
                yield node
        finally:
            await node.close()
