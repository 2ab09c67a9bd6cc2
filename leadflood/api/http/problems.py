"""Errors as RFC 9457 problem documents: one table from the error tree to statuses."""

from collections.abc import Mapping
from http import HTTPStatus
from math import ceil

import msgspec

from leadflood.contracts.errors import ProviderChanged, ProviderThrottled
from leadflood.engine.db.tx import sqlstate_of
from leadflood.engine.errors import (
    Bug,
    CapSpent,
    Conflict,
    Denied,
    FieldProblem,
    Invalid,
    LeadfloodError,
    NotConfigured,
    NotFound,
    Permanent,
    PreconditionFailed,
    Throttled,
    Transient,
    Unauthenticated,
    Unfunded,
    Unsure,
)
from leadflood.engine.net.breaker import BreakerOpen
from leadflood.engine.obs.event_feed import CursorTooOld
from leadflood.engine.obs.log import log
from leadflood.engine.open_files import FilesExhausted, is_exhausted

CONTENT_TYPE = "application/problem+json"
RETRY_SECONDS = 1.0
_PHRASES = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Content Too Large",
    HTTPStatus.REQUEST_URI_TOO_LONG: "URI Too Long",
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE: "Range Not Satisfiable",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Unprocessable Content",
}
"""RFC 9110's phrases where Python before 3.13 has older ones: one contract on every Python."""


class Problem(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A problem (RFC 9457). `code` is stable; `next` says what to do, where that is known."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    request_id: str
    fields: tuple[FieldProblem, ...] = ()
    next: str | None = None


class HttpRefused(LeadfloodError):
    """The request itself is at fault, before any use case saw it; carries its own status."""

    code = "http.refused"

    def __init__(
        self,
        status: HTTPStatus,
        code: str,
        detail: str,
        fields: tuple[FieldProblem, ...] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail, code=code)
        self.status = status
        self.fields = fields
        self.headers = dict(headers or {})


class Verdict(msgspec.Struct, frozen=True):
    """The HTTP meaning of an error class."""

    status: HTTPStatus
    next: str | None = None


_FIELDS = "mend the fields named and send the request again"
TABLE: tuple[tuple[type[LeadfloodError], Verdict], ...] = (
    (Invalid, Verdict(HTTPStatus.UNPROCESSABLE_ENTITY, _FIELDS)),
    (NotFound, Verdict(HTTPStatus.NOT_FOUND)),
    (Conflict, Verdict(HTTPStatus.CONFLICT, "look at what is there before trying again")),
    (
        PreconditionFailed,
        Verdict(HTTPStatus.PRECONDITION_FAILED, "read it again, then change what is there now"),
    ),
    (CursorTooOld, Verdict(HTTPStatus.GONE, "read the present state and watch from now on")),
    (Denied, Verdict(HTTPStatus.FORBIDDEN)),
    (Unauthenticated, Verdict(HTTPStatus.UNAUTHORIZED, "log in, or send an API key as Bearer")),
    (NotConfigured, Verdict(HTTPStatus.SERVICE_UNAVAILABLE, "set what the text names, restart")),
    (CapSpent, Verdict(HTTPStatus.PAYMENT_REQUIRED, "raise the cap and start again")),
    (ProviderChanged, Verdict(HTTPStatus.BAD_GATEWAY, "look for a newer release")),
    (ProviderThrottled, Verdict(HTTPStatus.SERVICE_UNAVAILABLE, "wait as Retry-After says")),
    (BreakerOpen, Verdict(HTTPStatus.SERVICE_UNAVAILABLE, "wait as Retry-After says")),
    (Unfunded, Verdict(HTTPStatus.PAYMENT_REQUIRED, "wait until the budget renews, or raise it")),
    (Throttled, Verdict(HTTPStatus.TOO_MANY_REQUESTS, "wait as Retry-After says")),
    (Transient, Verdict(HTTPStatus.SERVICE_UNAVAILABLE, "send the same request again")),
    (Unsure, Verdict(HTTPStatus.BAD_GATEWAY, "ask the other side whether it happened")),
    (Permanent, Verdict(HTTPStatus.UNPROCESSABLE_ENTITY)),
)
"""From the most special to the most general: the first that fits is meant."""

_BUG = Verdict(
    HTTPStatus.INTERNAL_SERVER_ERROR, "report the requestId: the log has the trace under it"
)


class Refusal(msgspec.Struct, frozen=True):
    """A problem with the headers that go with it."""

    problem: Problem
    headers: dict[str, str]


def refusal_of(error: BaseException, request_id: str) -> Refusal:
    """Return what the caller is shown of an error; an unforeseen one is logged, and our bug."""
    foreseen = error if isinstance(error, LeadfloodError) else _of_environment(error)
    if foreseen is None or isinstance(foreseen, Bug):
        log.error("http.request.failed", requestId=request_id, exc_info=error)
        foreseen = Bug("this is our mistake, not yours; nothing more is known about it here")
    verdict = verdict_of(foreseen)
    problem = Problem(
        type=f"urn:leadflood:{foreseen.error_code}",
        title=phrase_of(verdict.status),
        status=verdict.status.value,
        code=foreseen.error_code,
        detail=foreseen.detail,
        request_id=request_id,
        fields=getattr(foreseen, "fields", ()),
        next=verdict.next,
    )
    return Refusal(problem, _headers(foreseen))


def phrase_of(status: HTTPStatus) -> str:
    """Return a status in words, the same on every version of Python."""
    return _PHRASES.get(status, status.phrase)


def verdict_of(error: LeadfloodError) -> Verdict:
    """Find what an error means over HTTP."""
    if isinstance(error, HttpRefused):
        return Verdict(error.status)
    return status_of(type(error))


def status_of(error_type: type[LeadfloodError]) -> Verdict:
    """Find what an error class means over HTTP."""
    return next((verdict for kind, verdict in TABLE if issubclass(error_type, kind)), _BUG)


def _of_environment(error: BaseException) -> LeadfloodError | None:
    """Return what an error of the database or the machine means to a caller; None: our bug."""
    if is_exhausted(error):
        return FilesExhausted("this server is busy: it may open no more files", RETRY_SECONDS)
    return _of_database(error)


def _of_database(error: BaseException) -> LeadfloodError | None:
    if isinstance(error, TimeoutError):
        return Transient("the database is busy", RETRY_SECONDS, code="http.database.busy")
    state = sqlstate_of(error)
    if state is None:
        return None
    if state.startswith("22"):
        return Invalid(
            "a value is of a kind or size that cannot be kept", code="http.value.refused"
        )
    if state.startswith(("08", "53", "57", "25006", "40", "55")):
        return Transient("the database is away or busy", RETRY_SECONDS, code="http.database.away")
    return None


def _headers(error: LeadfloodError) -> dict[str, str]:
    if isinstance(error, HttpRefused):
        return error.headers
    if isinstance(error, Unauthenticated):
        return {"WWW-Authenticate": 'Bearer realm="leadflood"'}
    if isinstance(error, Throttled | Transient):
        seconds = error.retry_after_seconds
        return {"Retry-After": str(max(1, ceil(RETRY_SECONDS if seconds is None else seconds)))}
    return {}
