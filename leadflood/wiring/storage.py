"""Storage: a usable database with the services that need no node."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from leadflood.contracts.ports.sender import Sender
from leadflood.contracts.values import Channel
from leadflood.domain.audit.service import AuditTrail
from leadflood.domain.auth.service.accounts import Accounts
from leadflood.domain.auth.service.master_secrets import MasterSecrets
from leadflood.domain.auth.service.one_time_links import OneTimeLinks
from leadflood.domain.auth.service.user_accounts import UserAccounts
from leadflood.domain.duplicates.service import DuplicateService
from leadflood.domain.icp.service.icps import IcpService
from leadflood.domain.leads.service.leads import LeadService
from leadflood.domain.leads.service.merging import LeadMerging
from leadflood.domain.runs.schemas import BudgetDefaults
from leadflood.domain.runs.service.runs import RunService
from leadflood.domain.scoring.service import ScoringService
from leadflood.domain.suppressions.schemas import AddressKey
from leadflood.domain.users.service.team_settings import TeamSettings
from leadflood.domain.users.service.users import Users
from leadflood.engine.clock import Clock
from leadflood.engine.db.embedded import EmbeddedServer
from leadflood.engine.db.pool import Database, Settings as DatabaseSettings
from leadflood.engine.disk import DiskWatch
from leadflood.engine.ids import Ids
from leadflood.engine.queue.dispatcher import Dispatcher
from leadflood.engine.queue.event_routes import EventRoutes
from leadflood.engine.queue.publisher import Publisher
from leadflood.engine.queue.wakeups import Wakeups
from leadflood.engine.secret_files import SecretFile
from leadflood.pipeline import STAGES, STEPS
from leadflood.providers import catalog
from leadflood.settings import Settings, explain_settings
from leadflood.wiring.messaging import (
    Messaging,
    MessagingParts,
    build_messaging,
    messaging_settings,
)


class Storage:
    """A migrated, usable database, with the services that need no node.

    `server` is the embedded server; None where DATABASE_URL names another one.
    """

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
        self.disk = DiskWatch(None if server is None else server.data_folder, settings.engine.disk)
        self.ids = Ids(clock)
        self.audit = AuditTrail(self.ids, clock)
        secret_file = SecretFile(settings.data_folder() / "accounts.secret")
        self.master_secrets = MasterSecrets(db, clock, settings.accounts, secret_file)
        self.accounts = Accounts(db, self.ids, clock, settings.accounts, self.master_secrets)
        self.users = Users(
            db, UserAccounts(clock, self.ids), OneTimeLinks(clock, settings.accounts)
        )
        self.team = TeamSettings(db)
        self.icps = IcpService(db, self.ids, clock)
        self.budget = msgspec.convert(settings.budget, BudgetDefaults, from_attributes=True)
        self.runs = RunService(db, self.ids, clock, self.budget, self.disk)
        self.scores = ScoringService(db)
        merging = LeadMerging(self.ids, clock)
        self.duplicates = DuplicateService(LeadService(), merging, clock)

    def explain_settings(self) -> Sequence[tuple[str, str, str]]:
        """Return every effective setting: path, value (secrets masked), source."""
        return explain_settings(self.settings)

    def producer(self) -> Publisher:
        """Return a publisher for a process that is no node: its jobs are queued for the nodes."""
        wakeups = Wakeups()
        channels: dict[str, Any] = dict.fromkeys(STAGES)
        dispatcher = Dispatcher(EventRoutes(STEPS), channels, None, wakeups, self.ids, self.clock)
        return Publisher(self.db, dispatcher, None, wakeups)

    def messaging(
        self,
        publisher: Publisher | None = None,
        senders: Mapping[Channel, Sender] | None = None,
    ) -> Messaging:
        """Build the services of messages; without a publisher, those of a process that is no node.

        `senders` are the providers that can be asked whether a message arrived.
        """
        return build_messaging(
            MessagingParts(
                settings=messaging_settings(self.settings),
                key=self.address_key(),
                audit=self.audit,
                db=self.db,
                ids=self.ids,
                clock=self.clock,
                publisher=publisher or self.producer(),
                senders=senders,
                missing_senders=catalog.list_missing_senders(self.settings.providers),
            )
        )

    def address_key(self) -> AddressKey:
        """Return the key of the hashes of addresses; empty before the secret was proved."""
        secret = self.master_secrets.proved
        return AddressKey() if secret is None else AddressKey(secret.derive_key("addresses"))
