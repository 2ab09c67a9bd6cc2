"""Authentication: a request's credential turned into a principal.

Exactly one `Authorization: Bearer <credential>`, where the credential is an access token (15
minutes, from a login), an API key (`lf_…`), or the operator's `http.token` where one is set.
Without one nothing but the open routes is answered, on 127.0.0.1 too.
"""

import hmac

from aiohttp import hdrs, web

from leadflood.api.http.client_address import address_of
from leadflood.api.http.platform import Platform
from leadflood.api.http.settings import Settings
from leadflood.api.http.token_throttle import TokenThrottle
from leadflood.domain.auth.schemas.principals import OPERATOR, Principal
from leadflood.engine.errors import Unauthenticated

SCHEME = "bearer "
MOST_CHARS = 2_000


class Authenticator:
    """Checks credentials: first in memory, then in the database."""

    def __init__(self, platform: Platform, http: Settings) -> None:
        self._credentials = platform.accounts.use.credentials
        self._token = http.token.encode()
        self._throttle = TokenThrottle()

    async def authenticate(self, request: web.Request) -> Principal:
        """Return who asks. Raises: Unauthenticated, Throttled."""
        return self.recall(request) or await self.find(request)

    def recall(self, request: web.Request) -> Principal | None:
        """Return who asks, where that is known without the database; None: it must be asked.

        Raises: Unauthenticated for what is no credential.
        """
        credential = _read_credential(request)
        principal = self._credentials.recall(credential)
        if principal is None and self._is_operator(credential):
            return OPERATOR
        return principal

    async def is_genuine(self, request: web.Request) -> bool:
        """Whether the credential was made here, whether or not it still is in force."""
        return await self._credentials.is_genuine(_read_credential(request))

    async def find(self, request: web.Request) -> Principal:
        """Look the credential up. Raises: Unauthenticated, Throttled."""
        credential = _read_credential(request)
        principal = await self._credentials.find(credential)
        if principal is None:
            if self._token and not credential.startswith(("lf_", "ey")):
                self._throttle.record_wrong(address_of(request))
            raise Unauthenticated(
                "this credential is not valid (any more): log in, refresh, or take another key",
                code="auth.credential.refused",
            )
        return principal

    def _is_operator(self, credential: str) -> bool:
        sent = credential.encode("utf-8", "surrogateescape")
        return bool(self._token) and hmac.compare_digest(sent, self._token)


def _read_credential(request: web.Request) -> str:
    """Read the one credential. Raises: Unauthenticated when there is none, or not exactly one."""
    headers = request.headers.getall(hdrs.AUTHORIZATION, ())
    if len(headers) != 1:
        raise Unauthenticated(
            "send one credential, as 'Authorization: Bearer <access token or API key>'",
            code="auth.credential.missing" if not headers else "auth.credential.doubled",
        )
    header = headers[0]
    credential = header[len(SCHEME) :]
    is_bearer = header[: len(SCHEME)].lower() == SCHEME
    if not is_bearer or not credential or len(header) > MOST_CHARS:
        raise Unauthenticated(
            "the Authorization header must read 'Bearer <access token or API key>'",
            code="auth.credential.malformed",
        )
    return credential
