"""What the edge needs of the process it belongs to, and what it knows of a request."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Protocol

import msgspec

from leadflood.api.listening import Settings as HttpSettings
from leadflood.api.turns import Turns
from leadflood.domain.audit.schemas import Actor
from leadflood.domain.audit.service import AuditTrail
from leadflood.domain.auth.schemas import ALL, Principal, PrincipalKind
from leadflood.domain.auth.service.accounts import Accounts
from leadflood.domain.discovery.service import DiscoveryService
from leadflood.domain.icp.service import IcpService
from leadflood.domain.messaging.service import MessagingService
from leadflood.domain.scoring.service import ScoringService
from leadflood.domain.users.service.team_settings import TeamSettings
from leadflood.domain.users.service.users import Users
from leadflood.engine.clock import Clock
from leadflood.engine.db.pool import Database
from leadflood.engine.ids import Ids
from leadflood.engine.live_overrides import LiveOverrides
from leadflood.engine.net.gateway import ProviderGateway
from leadflood.engine.queue.publisher import Publisher
from leadflood.engine.runtime import Engine


class Budget(Protocol):
    """The caps that a run gets when its caller names none."""

    @property
    def currency(self) -> str:
        """The one currency of all amounts."""

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
    def http(self) -> HttpSettings:
        """Where the API listens."""

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
    def audit(self) -> AuditTrail:
        """Keeps the record of privileged acts."""

    @property
    def accounts(self) -> Accounts:
        """The use cases of logins, sessions and keys."""

    @property
    def users(self) -> Users:
        """The use cases of users as an administrator keeps them."""

    @property
    def team(self) -> TeamSettings:
        """The settings of the team."""

    @property
    def scores(self) -> ScoringService:
        """The use cases of scores."""

    @property
    def settings(self) -> NodeSettings:
        """What routes read of the settings."""

    def explain_settings(self) -> Sequence[tuple[str, str, str]]:
        """List every effective setting: path, value (secrets masked), where it came from."""


class Node(Protocol):
    """The node this process is. Ask it each time: a buried node comes back with new parts."""

    @property
    def storage(self) -> Storage:
        """The database and what stands on it."""

    @property
    def turns(self) -> Turns:
        """The Idempotency-Keys in use."""

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
    def gate(self) -> ProviderGateway:
        """The way to the outside."""

    @property
    def live_overrides(self) -> LiveOverrides:
        """What operators set by hand, in force on this node."""

    @property
    def messaging(self) -> MessagingService:
        """The use cases of messages."""

    @property
    def discovery(self) -> DiscoveryService:
        """The use cases of discovery."""


OPERATOR = Principal(kind=PrincipalKind.OPERATOR, name="operator", permissions=ALL)
"""Whoever holds `http.token` of the settings: may do everything, is nobody's user."""

NOBODY = Principal(kind=PrincipalKind.NOBODY, name="nobody", permissions=frozenset())
"""Whoever asks a route that is open to all."""


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, and how. `if_match` is the version that If-Match names; None: it names none."""

    request_id: str
    trace_parent: str | None = None
    principal: Principal = OPERATOR
    address: str = ""
    user_agent: str = ""
    idempotency_key: str = ""
    body_hash: bytes = b""
    route: str = ""
    if_match: int | None = None

    @property
    def by(self) -> str:
        """Tell who this is where an act is recorded: `user:<id>`, `key:<id>`, `operator`."""
        return self.principal.by

    @property
    def actor(self) -> Actor:
        """Tell who this is as the audit record wants it."""
        return Actor(principal=self.principal, address=self.address, request_id=self.request_id)


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """An answer sent piece by piece; with a `file_name` a browser keeps it as a file."""

    pieces: AsyncGenerator[bytes, None]
    content_type: str
    file_name: str = ""


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that is not JSON: a page for people, text for machines."""

    body: bytes
    content_type: str
    status: int = 200
    policy: str = ""
