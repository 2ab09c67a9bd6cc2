"""Accounts: built from the settings and the master secret, started once per process."""

from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec
from anyio import to_thread

from leadflood.domain.accounts.attempts import Attempts, Trying
from leadflood.domain.accounts.credentials import Credentials
from leadflood.domain.accounts.factors import Factors
from leadflood.domain.accounts.joining import Joining, JoiningParts
from leadflood.domain.accounts.keys import ApiKeys
from leadflood.domain.accounts.links import Links
from leadflood.domain.accounts.logins import LoginParts, Logins
from leadflood.domain.accounts.passwords import Passwords
from leadflood.domain.accounts.schemas import Settings
from leadflood.domain.accounts.selves import Selves
from leadflood.domain.accounts.sessions import Sessions
from leadflood.domain.accounts.signing import SigningKeys
from leadflood.domain.accounts.sql import SQL
from leadflood.domain.accounts.team import TeamSettings
from leadflood.domain.accounts.users import Users
from leadflood.domain.accounts.vault import LEAST_CHARS, Seal, Vault
from leadflood.engine.clock import Clock
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import Bug, Invalid
from leadflood.engine.ids import Ids

ENDED_SESSIONS_KEPT = timedelta(days=30)
PRUNED_AT_ONCE = 5_000


class UseCases(msgspec.Struct, frozen=True, kw_only=True):
    """What accounts can do, once the master secret is known."""

    seal: Seal
    signing: SigningKeys
    credentials: Credentials
    passwords: Passwords
    attempts: Attempts
    sessions: Sessions
    factors: Factors
    logins: Logins
    selves: Selves
    joining: Joining
    users: Users
    keys: ApiKeys
    team: TeamSettings


class Accounts:
    """The use cases of people, sessions and keys; `start` before anything is asked."""

    def __init__(
        self,
        db: Database,
        ids: Ids,
        clock: Clock,
        settings: Settings,
        keep_secret: Callable[[], str],
    ) -> None:
        self._db = db
        self._ids = ids
        self._clock = clock
        self._settings = settings
        self._keep_secret = keep_secret
        self._use: UseCases | None = None

    async def start(self, *, adopts: bool = False) -> None:
        """Learn the master secret and check that it is the one this database knows.

        `adopts`: make it that one; all sessions end and second factors are void.
        Raises: Invalid (too short), Conflict (another one).
        """
        if self._use is not None:
            return
        master = self._settings.secret or await to_thread.run_sync(self._keep_secret)
        if len(master) < LEAST_CHARS:
            problem = f"write at least {LEAST_CHARS} characters, such as `openssl rand -hex 32`"
            raise Invalid.field(
                "accounts.secret",
                problem,
                detail=f"accounts.secret is too short: {problem}",
                code="accounts.secret.short",
            )
        use = self._build(Vault(master))
        if adopts:
            async with self._db.transaction() as tx:
                await use.signing.adopt(tx)
        await use.signing.start()
        self._use = use

    @property
    def use(self) -> UseCases:
        """What accounts can do."""
        if self._use is None:
            raise Bug("accounts were not started")
        return self._use

    def _build(self, vault: Vault) -> UseCases:
        db, ids, clock, settings = self._db, self._ids, self._clock, self._settings
        signing = SigningKeys(db, clock, settings, vault)
        passwords = Passwords(settings)
        attempts = Attempts(db, clock, ids, settings, Trying(vault, passwords))
        sessions = Sessions(clock, ids, settings, vault, signing)
        factors, links = Factors(clock, vault), Links(clock, settings)
        parts = LoginParts(
            db=db, clock=clock, attempts=attempts, passwords=passwords, sessions=sessions,
            factors=factors,
        )  # fmt: skip
        return UseCases(
            seal=Seal(vault),
            signing=signing,
            credentials=Credentials(db, clock, settings, signing),
            passwords=passwords,
            attempts=attempts,
            sessions=sessions,
            factors=factors,
            logins=Logins(parts),
            selves=Selves(parts),
            joining=Joining(
                JoiningParts(
                    db=db, clock=clock, ids=ids, links=links, passwords=passwords,
                    attempts=attempts, sessions=sessions, factors=factors,
                )
            ),
            users=Users(db, clock, ids, links, sessions),
            keys=ApiKeys(db, clock, ids),
            team=TeamSettings(db),
        )  # fmt: skip

    async def prune(self, now: datetime) -> int:
        """Forget what no longer counts, a few thousand rows at once; tell how many."""
        window = timedelta(minutes=self._settings.failure_minutes)
        return (
            await self._db.execute(SQL.prune_attempts, before=now - window, limit=PRUNED_AT_ONCE)
            + await self._db.execute(
                SQL.prune_sessions, before=now - ENDED_SESSIONS_KEPT, limit=PRUNED_AT_ONCE
            )
            + await self._db.execute(SQL.prune_links, now=now, limit=PRUNED_AT_ONCE)
        )
