"""Accounts on a database, and somebody who registered."""

from uuid import UUID

from leadflood.domain.auth.schemas.principals import OPERATOR
from leadflood.domain.auth.schemas.roles import Role
from leadflood.domain.auth.schemas.settings import Settings
from leadflood.domain.auth.service.accounts import Accounts
from leadflood.domain.auth.service.master_secrets import MasterSecrets
from leadflood.domain.auth.service.one_time_links import OneTimeLinks
from leadflood.domain.auth.service.user_accounts import UserAccounts
from leadflood.domain.users.service.users import Users
from leadflood.engine.clock import ManualClock
from leadflood.engine.db.pool import Database
from leadflood.engine.ids import Ids

from tests.support.api import Client
from tests.support.statements import sql

CHEAP = Settings(secret="s" * 40, argon2_memory_kib=64)
PASSWORD = "a password of nobody else"  # noqa: S105 - opens nothing
EMAIL = "ann@team.example"
HERE = "203.0.113.1"


class KeptSecret:
    """A secret that this machine keeps; `text` None: it has none yet."""

    def __init__(self, text: str | None = "k" * 64) -> None:
        self.text = text

    def read(self) -> str | None:
        return self.text

    def create(self) -> str:
        self.text = self.text or "n" * 64
        return self.text


async def start_accounts(
    database: Database, clock: ManualClock, settings: Settings = CHEAP
) -> Accounts:
    """Start the services of authentication, as a node does."""
    accounts = make_accounts(database, clock, settings)
    await accounts.start()
    return accounts


def make_accounts(database: Database, clock: ManualClock, settings: Settings = CHEAP) -> Accounts:
    """Build the services of authentication, not started."""
    secrets = MasterSecrets(database, clock, settings, KeptSecret())
    return Accounts(database, Ids(clock), clock, settings, secrets)


def make_users(database: Database, clock: ManualClock) -> Users:
    """Build the use cases of users."""
    return Users(database, UserAccounts(clock, Ids(clock)), OneTimeLinks(clock, CHEAP))


async def register(
    accounts: Accounts, database: Database, clock: ManualClock, role: Role = Role.ADMIN
) -> UUID:
    """Invite a user, who registers; return their id."""
    async with database.transaction() as tx:
        issued = await make_users(database, clock).invite(tx, EMAIL, "Ann", role, OPERATOR)
    registration = accounts.use.registration
    prepared = await registration.prepare(issued.link.token, "", PASSWORD)
    async with database.transaction() as tx:
        return (await registration.complete(tx, prepared, HERE)).user.id


async def let_proof_age(database: Database, user: Client) -> None:
    """Make a user's last proof of who they are older than it holds."""
    await database.execute(
        sql(
            "UPDATE session SET proved_at = proved_at - interval '6 minutes' WHERE user_id = $1",
            "user_id",
        ),
        user_id=UUID(user.user_id),
    )
