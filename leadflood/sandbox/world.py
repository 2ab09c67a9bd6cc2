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
from leadflood.sandbox.apollo import Apollo
from leadflood.sandbox.books import Books
from leadflood.sandbox.desk import Desk, Rules, Visit, administer
from leadflood.sandbox.faults import Fault, FaultProfile, Weather
from leadflood.sandbox.hunter import Hunter
from leadflood.sandbox.openai import OpenAI
from leadflood.sandbox.pdl import Pdl
from leadflood.sandbox.plans import (
    DEMO_PLAN_MULTIPLIER,
    DOCUMENTED_CREDITS,
    Keys,
    Limit,
    Prices,
    WindowKind,
)
from leadflood.sandbox.population import Population
from leadflood.sandbox.shop import Shop
from leadflood.sandbox.smtp import MailServer
from leadflood.sandbox.trengo import Trengo

_HOST = "127.0.0.1"


class WorldConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What kind of world it is. The same seed and order of requests gives the same answers.

    `folder` holds the books. Port 0 takes a free one. `plan_multiplier` is times the documented
    limits and credits; `limits` replaces the windows of an endpoint group, `credits` a plan's
    credits, `window_kind` makes all windows fixed or sliding (None: as documented).
    `fault_rates` replaces the rates of the profile. `latency_seconds` is by provider, spent
    after the work is done.
    """

    folder: str
    seed: int = 7
    people_count: int = 25_000
    faults: FaultProfile = FaultProfile.NONE
    fault_rates: dict[Fault, float] | None = None
    plan_multiplier: int = DEMO_PLAN_MULTIPLIER
    window_kind: WindowKind | None = None
    limits: dict[str, tuple[Limit, ...]] = {}
    credits: dict[str, Decimal] = {}
    prices: Prices = Prices()
    keys: Keys = Keys()
    port: int = 0
    smtp_port: int = 0
    latency_seconds: dict[str, float] = {}
    slow_seconds: float = 2.0


class Addresses(msgspec.Struct, frozen=True, kw_only=True):
    """Where everything is: base URLs as the adapters want them, the mail server, the admin URL."""

    apollo: str
    hunter: str
    pdl: str
    openai: str
    trengo: str
    smtp_host: str
    smtp_port: int
    admin: str


class World:
    """The population, the shops and the books behind one door."""

    def __init__(self, config: WorldConfig, clock: Clock) -> None:
        self.config = config
        self.books = Books(Path(config.folder))
        self.desk = Desk(_rules(config), self.books, clock)
        self.desk.weather = Weather(profile=config.faults, rates=config.fault_rates)
        self.population = Population(config.seed, config.people_count)
        self.shops: dict[str, Shop] = {shop.name: shop for shop in self._open_shops()}

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Send a request to the shop its path names."""
        name, _, path = request.path.removeprefix("/").partition("/")
        if name == "_":
            return await administer(self.desk, request, path)
        shop = self.shops.get(name)
        if shop is None:
            return web.Response(status=404, text="No such provider in this world.")
        return await Visit(self.desk, shop, request, path).serve()

    def _open_shops(self) -> tuple[Shop, ...]:
        keys, prices = self.config.keys, self.config.prices
        return (
            Apollo(self.population, keys.apollo, prices.apollo),
            Hunter(self.population, keys.hunter, prices.hunter),
            Pdl(self.population, keys.pdl, prices.pdl),
            OpenAI(keys.openai, prices),
            Trengo(self.books, keys.trengo, prices.trengo),
        )


def _rules(config: WorldConfig) -> Rules:
    return Rules(
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
    """Open the world until the block ends. Calls that are open then are cut."""
    world = await anyio.to_thread.run_sync(World, config, clock)
    server = web.Server(world.handle, handler_cancellation=True, access_log=None)
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    mail = MailServer(world.desk, config.keys.smtp, config.prices.smtp)
    with world.books:
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
        mail.hang_up()


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
