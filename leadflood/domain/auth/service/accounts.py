"""Accounts: the services of authentication, built when the master secret has been read."""

import msgspec

from leadflood.domain.auth.rules.master_secret import MasterSecret, ResponseSealer
from leadflood.domain.auth.schemas.settings import Settings
from leadflood.domain.auth.service.access_revocation import AccessRevocation
from leadflood.domain.auth.service.api_keys import ApiKeys
from leadflood.domain.auth.service.credentials import Credentials
from leadflood.domain.auth.service.login import LoginParts, LoginService
from leadflood.domain.auth.service.login_throttle import LoginThrottle, ThrottleParts
from leadflood.domain.auth.service.master_secrets import MasterSecrets
from leadflood.domain.auth.service.one_time_links import OneTimeLinks
from leadflood.domain.auth.service.own_account import OwnAccount
from leadflood.domain.auth.service.passwords import Passwords
from leadflood.domain.auth.service.registration import RegistrationService
from leadflood.domain.auth.service.sessions import Sessions
from leadflood.domain.auth.service.signing_keys import SigningKeys
from leadflood.domain.auth.service.two_factor import TwoFactor
from leadflood.domain.auth.service.user_accounts import UserAccounts
from leadflood.engine.clock import Clock
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import Bug
from leadflood.engine.ids import Ids


class AuthServices(msgspec.Struct, frozen=True, kw_only=True):
    """The services of authentication.

    `seal`: seals stored responses that hold secrets.
    `signing_keys`: sign and verify access tokens.
    `credentials`: turn a token or key into a principal.
    `passwords`: hash and verify.
    `sessions`: open, renew and end logins. `revocation`: ends all of a user's, and their keys.
    `login`: the login itself.
    `own_account`: what users change of their own credentials.
    `registration`: claims, invitations and password resets by one-time links.
    `api_keys`: keys for scripts.
    """

    seal: ResponseSealer
    signing_keys: SigningKeys
    credentials: Credentials
    passwords: Passwords
    sessions: Sessions
    revocation: AccessRevocation
    login: LoginService
    own_account: OwnAccount
    registration: RegistrationService
    api_keys: ApiKeys


class Accounts:
    """Holds the services of authentication; `start` before they are used."""

    def __init__(
        self,
        db: Database,
        ids: Ids,
        clock: Clock,
        settings: Settings,
        secrets: MasterSecrets,
    ) -> None:
        self._db = db
        self._ids = ids
        self._clock = clock
        self._settings = settings
        self._secrets = secrets
        self._services: AuthServices | None = None

    @property
    def use(self) -> AuthServices:
        """The services."""
        if self._services is None:
            raise Bug("accounts were not started")
        return self._services

    async def start(self) -> None:
        """Prove the master secret and build the services. Raises: Invalid, Conflict."""
        if self._services is not None:
            return
        services = self._build(await self._secrets.prove())
        await services.signing_keys.start()
        self._services = services

    def _build(self, secret: MasterSecret) -> AuthServices:
        db, ids, clock, settings = self._db, self._ids, self._clock, self._settings
        signing_keys = SigningKeys(db, clock, settings, secret, self._secrets)
        login_parts = self._build_login_parts(secret, signing_keys)
        return AuthServices(
            seal=ResponseSealer(secret),
            signing_keys=signing_keys,
            credentials=Credentials(db, clock, settings, signing_keys),
            passwords=login_parts.passwords,
            sessions=login_parts.sessions,
            login=LoginService(login_parts),
            own_account=OwnAccount(login_parts),
            registration=RegistrationService(
                login_parts, UserAccounts(clock, ids), OneTimeLinks(clock, settings)
            ),
            revocation=login_parts.revocation,
            api_keys=ApiKeys(db, clock, ids, login_parts.sessions, settings.key_days),
        )

    def _build_login_parts(self, secret: MasterSecret, signing_keys: SigningKeys) -> LoginParts:
        db, ids, clock, settings = self._db, self._ids, self._clock, self._settings
        passwords = Passwords(settings)
        parts = ThrottleParts(db=db, clock=clock, ids=ids, secret=secret, passwords=passwords)
        return LoginParts(
            db=db,
            clock=clock,
            throttle=LoginThrottle(parts, settings),
            passwords=passwords,
            sessions=Sessions(clock, ids, settings, secret, signing_keys),
            revocation=AccessRevocation(clock),
            two_factor=TwoFactor(clock, secret),
        )
