"""Who asks: a request's credentials turned into a principal."""

import hmac
from http import HTTPStatus

from aiohttp import web

from leadflood.api.attempts import Attempts
from leadflood.api.edge import OPERATOR, Node
from leadflood.api.listening import LOOPBACK_NAMES, Settings, name_in
from leadflood.api.problems import HttpRefused
from leadflood.domain.accounts.schemas import Principal
from leadflood.engine.errors import Unauthenticated


class Access:
    """Checks credentials."""

    def __init__(self, node: Node, http: Settings) -> None:
        self._node = node
        self._token = http.token.encode()
        self._attempts = Attempts()

    async def principal_of(self, request: web.Request) -> Principal:
        """Tell who asks: with the token where one is set, else by a local name only.

        The name is asked because a page in a browser here may point its own name at 127.0.0.1.
        Raises: Unauthenticated, HttpRefused.
        """
        if self._token:
            self._check_token(request)
        elif name_in(request.host) not in LOOPBACK_NAMES:
            raise HttpRefused(
                HTTPStatus.MISDIRECTED_REQUEST,
                "http.host.refused",
                "without http.token the API answers to localhost and 127.0.0.1 only",
            )
        return OPERATOR

    def _check_token(self, request: web.Request) -> None:
        given = request.headers.getall("Authorization", [])
        scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        right = hmac.compare_digest(token.encode("utf-8", "surrogateescape"), self._token)
        if scheme.lower() != "bearer" or not right:
            self._attempts.note_wrong(request.remote or "")
            raise Unauthenticated(
                "the Authorization header is missing or wrong: send it once, as"
                " 'Authorization: Bearer <http.token>'",
                code="http.token.refused",
            )
