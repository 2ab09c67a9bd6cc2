"""The pretend world, put together: one HTTP port for all providers, one mail port.

`/apollo/api/v1`, `/hunter/v2`, … are the base URLs the real adapters get; `/_` is the world's own.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec
from aiohttp import web

from leadflood.engine.clock import Clock
from leadflood.sandbox.apollo import PretendApollo
from leadflood.sandbox.faults import Fault, FaultInjector, FaultProfile
from leadflood.sandbox.hunter import PretendHunter
from leadflood.sandbox.journal import Journal
from leadflood.sandbox.openai import OpenAI
from leadflood.sandbox.pdl import PretendPdl
from leadflood.sandbox.population import Population
from leadflood.sandbox.prices import (
    DEMO_PLAN_MULTIPLIER,
    DOCUMENTED_CREDITS,
    Keys,
    Limit,
    Prices,
    QuotaWindowKind,
)
from leadflood.sandbox.provider_protocol import PretendProvider
from leadflood.sandbox.request_handler import (
    RequestHandler,
    SandboxRules,
    SandboxState,
    handle_admin_request,
)
from leadflood.sandbox.smtp import MailServer
from leadflood.sandbox.trengo import PretendTrengo

_HOST = "127.0.0.1"


class WorldConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Configuration of a world. The same seed and order of requests gives the same responses.

    Attributes:
        folder: Where the journal is.
        seed: Decides who lives there and which requests meet a fault.
        people_count: How many people there are.
        faults: How many faults there are.
        fault_rates: Replaces the rates of the profile.
        plan_multiplier: Times the documented limits and credits.
        window_kind: Makes all windows fixed or sliding; None keeps the documented kinds.
        limits: Replaces the windows of an endpoint group.
        credits: Replaces the credits of a plan.
        prices: What is charged.
        keys: The key each provider accepts.
        port: The HTTP port; 0 takes a free one.
        smtp_port: The mail port; 0 takes a free one.
        latency_seconds: Usual latency by provider, spent after the work is done.
        slow_seconds: What a slow response takes on top.
    """

    folder: str
    seed: int = 7
    people_count: int = 25_000
    faults: FaultProfile = FaultProfile.NONE
    fault_rates: dict[Fault, float] | None = None
    plan_multiplier: int = DEMO_PLAN_MULTIPLIER
    window_kind: QuotaWindowKind | None = None
    limits: dict[str, tuple[Limit, ...]] = {}
    credits: dict[str, Decimal] = {}
    prices: Prices = Prices()
    keys: Keys = Keys()
    port: int = 0
    smtp_port: int = 0
    latency_seconds: dict[str, float] = {}
    slow_seconds: float = 2.0


class Addresses(msgspec.Struct, frozen=True, kw_only=True):
    """Addresses: base URLs as the adapters want them, the mail server, the admin URL."""

    apollo: str
    hunter: str
    pdl: str
    openai: str
    trengo: str
    smtp_host: str
    smtp_port: int
    admin: str


class World:
    """The population, the providers and the journal behind one port."""

    def __init__(self, config: WorldConfig, clock: Clock) -> None:
        self.config = config
        self.journal = Journal(Path(config.folder))
        self.state = SandboxState(_sandbox_rules(config), self.journal, clock)
        self.state.fault_injector = FaultInjector(profile=config.faults, rates=config.fault_rates)
        self.population = Population(config.seed, config.people_count)
        self.providers: dict[str, PretendProvider] = {
            provider.name: provider for provider in self._make_providers()
        }

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Route a request to the provider its path names."""
        name, _, path = request.path.removeprefix("/").partition("/")
        if name == "_":
            return await handle_admin_request(self.state, request, path)
        provider = self.providers.get(name)
        if provider is None:
            return web.Response(status=404, text="No such provider in this world.")
        return await RequestHandler(self.state, provider, request, path).serve()

    def _make_providers(self) -> tuple[PretendProvider, ...]:
        keys, prices = self.config.keys, self.config.prices
        return (
            PretendApollo(self.population, keys.apollo, prices.apollo),
            PretendHunter(self.population, keys.hunter, prices.hunter),
            PretendPdl(self.population, keys.pdl, prices.pdl),
            OpenAI(keys.openai, prices),
            PretendTrengo(self.journal, keys.trengo, prices.trengo),
        )


def _sandbox_rules(config: WorldConfig) -> SandboxRules:
    return SandboxRules(
        seed=config.seed,
        plan_multiplier=config.plan_multiplier,
        window_kind=config.window_kind,
        limits=config.limits,
        credits={
            name: config.credits.get(name, documented * config.plan_multiplier)
            for name, documented in DOCUMENTED_CREDITS.items()
        },
        latency_seconds=config.latency_seconds,
        slow_seconds=config.slow_seconds,
    )


@asynccontextmanager
async def serve(config: WorldConfig, clock: Clock) -> AsyncIterator[Addresses]:
    """Serve the world until the block ends. Calls that are open then are cut."""
    world = await anyio.to_thread.run_sync(World, config, clock)
    server = web.Server(world.handle, handler_cancellation=True, access_log=None)
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    mail = MailServer(world.state, config.keys.smtp, config.prices.smtp)
    with world.journal:
        await runner.setup()
        try:
            await web.TCPSite(runner, _HOST, config.port).start()
            async with _serve_mail(mail, config.smtp_port) as smtp_port:
                yield _addresses(runner.addresses[0][1], smtp_port)
        finally:
            await runner.cleanup()


@asynccontextmanager
async def _serve_mail(mail: MailServer, port: int) -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(mail, _HOST, port, backlog=1024)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        mail.disconnect()


def _addresses(port: int, smtp_port: int) -> Addresses:
    root = f"http://{_HOST}:{port}"
    return Addresses(
        apollo=f"{root}/apollo/api/v1",
        hunter=f"{root}/hunter/v2",
        pdl=f"{root}/pdl/v5",
        openai=f"{root}/openai/v1",
        trengo=f"{root}/trengo/api/v2",
        smtp_host=_HOST,
        smtp_port=smtp_port,
        admin=f"{root}/_",
    )
