"""What the edge needs of the process it belongs to, and what it knows of a request."""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from leadflood.domain.discovery.service import DiscoveryService
from leadflood.domain.icp.service import IcpService
from leadflood.domain.messaging.service import MessagingService
from leadflood.domain.scoring.service import ScoringService
from leadflood.engine.clock import Clock
from leadflood.engine.db.pool import Database
from leadflood.engine.ids import Ids
from leadflood.engine.net.gate import LiveGate
from leadflood.engine.queue.publisher import Publisher
from leadflood.engine.runtime import Engine


class Budget(Protocol):
    """The caps that a run gets when its caller names none."""

    @property
    def run_micros(self) -> int | None:
        """The most a run may cost; None: no cap."""

    @property
    def lead_micros(self) -> int | None:
        """The most a lead may cost in a run; None: no cap."""


class NodeSettings(Protocol):
    """The part of the settings that routes read."""

    @property
    def budget(self) -> Budget:
        """The default caps."""

    @property
    def providers(self) -> Mapping[str, object]:
        """The providers by name, configured or not."""


class Storage(Protocol):
    """The database and what stands directly on it."""

    @property
    def db(self) -> Database:
        """The pool."""

    @property
    def ids(self) -> Ids:
        """Makes ids."""

    @property
    def clock(self) -> Clock:
        """Tells the time."""

    @property
    def icps(self) -> IcpService:
        """The use cases of ICPs."""

    @property
    def scores(self) -> ScoringService:
        """The use cases of scores."""

    @property
    def settings(self) -> NodeSettings:
        """What routes read of the settings."""


class Node(Protocol):
    """The node this process is. Ask it each time: a buried node comes back with new parts."""

    @property
    def storage(self) -> Storage:
        """The database and what stands on it."""

    @property
    def engine(self) -> Engine:
        """The engine's present life."""

    @property
    def publisher(self) -> Publisher:
        """Opens transactions whose events start jobs."""

    @property
    def adapters(self) -> Mapping[str, object]:
        """The providers that are configured."""

    @property
    def gate(self) -> LiveGate:
        """The way to the outside."""

    @property
    def messaging(self) -> MessagingService:
        """The use cases of messages."""

    @property
    def discovery(self) -> DiscoveryService:
        """The use cases of discovery."""


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks. `by` is what is written where an act is recorded."""

    request_id: str
    by: str = "api"
    idempotency_key: str = ""
    body_hash: bytes = b""
    route: str = ""


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that is not JSON: a page for people, text for machines."""

    body: bytes
    content_type: str
    status: int = 200
    policy: str = ""
