"""Who asks: a request's credentials turned into a principal.

Exactly one `Authorization: Bearer <credential>`, where the credential is an access token (15
minutes, from a login), an API key (`lf_…`), or the operator's `http.token` where one is set.
Without one nothing but the open routes is answered, on 127.0.0.1 too.
"""

import hmac
from collections.abc import Callable

from aiohttp import hdrs, web

from leadflood.api.attempts import Attempts
from leadflood.api.edge import OPERATOR, Node
from leadflood.api.listening import Settings
from leadflood.api.proxies import address_of
from leadflood.domain.auth.schemas import Principal
from leadflood.engine.errors import Unauthenticated

SCHEME = "bearer "
MOST_CHARS = 2_000


class Access:
    """Checks credentials."""

    def __init__(self, node: Node, http: Settings) -> None:
        self._credentials = node.storage.accounts.use.credentials
        self._token = http.token.encode()
        self._attempts = Attempts()

    async def principal_of(
        self, request: web.Request, before_looking: Callable[[], None] = lambda: None
    ) -> Principal:
        """Tell who asks; `before_looking` is called where that costs a question to the database.

        Raises: Unauthenticated, Throttled.
        """
        credential = _credential_in(request)
        known = self._credentials.recall(credential)
        if known is not None:
            return known
        if self._is_operator(credential):
            return OPERATOR
        before_looking()
        principal = await self._credentials.find(credential)
        if principal is None:
            if self._token and not credential.startswith(("lf_", "ey")):
                self._attempts.note_wrong(address_of(request))
            raise Unauthenticated(
                "this credential is not valid (any more): log in, refresh, or take another key",
                code="auth.credential.refused",
            )
        return principal

    def _is_operator(self, credential: str) -> bool:
        given = credential.encode("utf-8", "surrogateescape")
        return bool(self._token) and hmac.compare_digest(given, self._token)


def _credential_in(request: web.Request) -> str:
    """Read the one credential. Raises: Unauthenticated when there is none, or not exactly one."""
    given = request.headers.getall(hdrs.AUTHORIZATION, ())
    if len(given) != 1:
        raise Unauthenticated(
            "send one credential, as 'Authorization: Bearer <access token or API key>'",
            code="auth.credential.missing" if not given else "auth.credential.doubled",
        )
    header = given[0]
    credential = header[len(SCHEME) :]
    is_bearer = header[: len(SCHEME)].lower() == SCHEME
    if not is_bearer or not credential or len(header) > MOST_CHARS:
        raise Unauthenticated(
            "the Authorization header must read 'Bearer <access token or API key>'",
            code="auth.credential.malformed",
        )
    return credential
