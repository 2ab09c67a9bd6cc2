"""Request context: who asks, and how; what a request carries from one middleware to the next."""

import hashlib
from http import HTTPStatus
from typing import Protocol

import anyio
import msgspec
from aiohttp import hdrs, web

from leadflood.api.http.client_address import ORIGIN
from leadflood.api.http.problems import HttpRefused
from leadflood.domain.audit.schemas import AuditActor
from leadflood.domain.auth.schemas.principals import (
    OPERATOR,
    Editor,
    Principal,
    PrincipalKind,
    Visibility,
)
from leadflood.domain.runs.schemas import RunOpener, opener_of
from leadflood.engine.errors import FieldProblem
from leadflood.engine.obs.tracing import CURRENT_SPAN
from leadflood.engine.text import make_storable

NOBODY = Principal(kind=PrincipalKind.NOBODY, name="nobody", permissions=frozenset())
"""Whoever asks a route that is open to all."""

REQUEST_ID = web.RequestKey("request_id", str)
ROUTE_NAME = web.RequestKey("route_name", str)
TIME_LIMIT = web.RequestKey("time_limit", anyio.CancelScope)
RESPONSE_HEADERS = web.RequestKey("response_headers", dict[str, str])
"""Headers that the answer gets besides, whether it is a good one or not."""
MOST_AGENT_CHARS = 300
MOST_KEY_CHARS = 200
_KEY = "Idempotency-Key"


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """The caller of a request and its headers. `if_match` is the version of If-Match; None: any."""

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
        """The caller's name where an act is recorded: `user:<id>`, `key:<id>`, `operator`."""
        return self.principal.by

    @property
    def visibility(self) -> Visibility:
        """Whose leads they see."""
        return self.principal.visibility

    @property
    def editor(self) -> Editor:
        """The caller as the editor that services expect."""
        return Editor(by=self.by, visibility=self.visibility, if_match=self.if_match)

    @property
    def opener(self) -> RunOpener:
        """The caller as the opener of runs."""
        return opener_of(self.principal)

    @property
    def actor(self) -> AuditActor:
        """The caller as the actor of an audit record."""
        return AuditActor(
            principal=self.principal, address=self.address, request_id=self.request_id
        )


class NamedRoute(Protocol):
    """The part of a route that its caller is made for."""

    @property
    def name(self) -> str:
        """The route as logs and metrics name it."""

    @property
    def takes_key(self) -> bool:
        """Whether the route takes an Idempotency-Key."""


def make_caller(
    request: web.Request, route: NamedRoute, principal: Principal, body: bytes
) -> Caller:
    """Return who asks, as a handler sees them. Raises: HttpRefused for an unusable key."""
    key = request.headers.get(_KEY, "") if route.takes_key else ""
    if len(key) > MOST_KEY_CHARS or not key.isprintable():
        raise HttpRefused(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "http.idempotency.invalid",
            f"{_KEY}: take at most {MOST_KEY_CHARS} printable characters",
            (FieldProblem(_KEY, "is too long or not printable"),),
        )
    return Caller(
        request_id=request[REQUEST_ID],
        trace_parent=CURRENT_SPAN.get() or None,
        principal=principal,
        address=request[ORIGIN].address,
        user_agent=make_storable(request.headers.get(hdrs.USER_AGENT, "")[:MOST_AGENT_CHARS]),
        idempotency_key=key,
        body_hash=_hash(request, body) if key else b"",
        route=route.name,
    )


def _hash(request: web.Request, body: bytes) -> bytes:
    return hashlib.sha256(f"{request.path_qs}\n".encode() + body).digest()
