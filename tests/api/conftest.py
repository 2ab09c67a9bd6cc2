"""One node and one API for the whole folder: each test brings its own leads."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from leadflood.app import Node
from leadflood.domain.icp.schemas import Autopilot, IcpInput
from leadflood.domain.icp.service.icps import IcpService
from leadflood.engine.db.pool import Database, Settings, open_database
from typing_extensions import override

from tests.support.api import Client, Installation, running_api, running_installation, running_node
from tests.support.db import TestServer, cloned_database
from tests.support.messaging import OFFER, World


@pytest.fixture(scope="package")
async def node_settings(database_server: TestServer) -> AsyncIterator[Settings]:
    async with cloned_database(database_server) as settings:
        yield settings


@pytest.fixture(scope="package")
async def node_database(node_settings: Settings) -> AsyncIterator[Database]:
    async with open_database(node_settings) as opened:
        yield opened


@pytest.fixture(scope="package")
async def node(
    node_database: Database, node_settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Node]:
    folder = tmp_path_factory.mktemp("node")
    async with running_node(node_database, node_settings, folder) as running:
        yield running


@pytest.fixture(scope="package")
async def api(node: Node) -> AsyncIterator[Client]:
    async with running_api(node) as client:
        yield client


@pytest.fixture(scope="package")
async def installation(
    database_server: TestServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Installation]:
    """A second installation, for what can be done once only."""
    folder = tmp_path_factory.mktemp("installation")
    async with running_installation(database_server, folder) as (node, api):
        yield Installation(node, api, node.storage.database.url)


@pytest.fixture(scope="package")
async def icp_id(api: Client) -> str:
    made = await api.post("/v1/icps", {"name": "Ops", "target": {"titles": ["COO"]}})
    assert made.status == 201
    return str(made.json["id"])


@pytest.fixture(scope="package")
def world(node_database: Database, node: Node) -> World:
    """What makes drafts and sendings; its ids are its own, so there is one for the folder."""
    del node
    return ReadableWorld(node_database)


class ReadableWorld(World):
    """A world whose ICPs can be read by the routes too."""

    @override
    async def icp(self, *, autopilot: bool = True, offer: str = OFFER) -> UUID:
        choice = Autopilot.HIGH if autopilot else Autopilot.OFF
        given = IcpInput(name="World", offer=offer, autopilot=choice)
        icps = IcpService(self.db, self.ids, self.clock)
        async with self.db.transaction() as tx:
            return (await icps.create(tx, given)).id
