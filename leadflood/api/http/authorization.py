"""Authorization: rate limits, authentication and permission, in this order; and sessions."""

from collections.abc import Awaitable, Callable
from uuid import UUID

import msgspec
from aiohttp import web

from leadflood.api.http.authentication import Authenticator
from leadflood.api.http.client_address import ORIGIN
from leadflood.api.http.rate_limit import AddressUse, RateLimiter, RateQuota, tightest
from leadflood.api.http.request_context import NOBODY, RESPONSE_HEADERS, Caller
from leadflood.api.http.routing import Route
from leadflood.api.http.websocket_tickets import TicketService
from leadflood.domain.auth.schemas.principals import Principal
from leadflood.engine.errors import Denied, Unauthenticated

EARLY = "auth"
"""The class of routes on which whoever is in force is limited by caller alone."""

Recheck = Callable[[], Awaitable[Principal]]


class SessionUser(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who asks by a session of their own."""

    user_id: UUID
    session_id: UUID
    email: str


class Authorizer:
    """Decides whether a request may reach its route."""

    def __init__(self, authenticator: Authenticator, limiter: RateLimiter) -> None:
        self._authenticator = authenticator
        self._limiter = limiter

    async def authorize(self, request: web.Request, route: Route) -> Principal:
        """Return who asks, if they may.

        A credential that may be made up is limited by address before the database is asked. What
        is in force is limited apart from it, whatever others behind its address do.
        Raises: Unauthenticated, Denied, HttpRefused, Throttled.
        """
        if route.is_open:
            _show_quota(request, self._count_address(request, route, AddressUse.OPEN))
            return NOBODY
        principal = await self._find_principal(request, route)
        by_address = None
        if route.rate != EARLY and not self._limiter.is_free(principal):
            by_address = self._count_address(request, route, AddressUse.IN_FORCE)
        _show_quota(request, by_address, self._limiter.count_caller(route.rate, principal))
        require_permission(route, principal)
        return principal

    async def _find_principal(self, request: web.Request, route: Route) -> Principal:
        principal = self._authenticator.recall(request)
        if principal is not None:
            return principal
        is_genuine = await self._authenticator.is_genuine(request)
        if not is_genuine:
            _show_quota(request, self._count_address(request, route, AddressUse.REFUSED))
        try:
            return await self._authenticator.find(request)
        except Unauthenticated:
            if is_genuine:
                _show_quota(request, self._count_address(request, route, AddressUse.REFUSED))
            raise

    def _count_address(
        self, request: web.Request, route: Route, use: AddressUse
    ) -> RateQuota | None:
        return self._limiter.count_address(route.rate, request[ORIGIN].address, use)

    async def authorize_stream(
        self, request: web.Request, route: Route, ticket: str, tickets: TicketService
    ) -> tuple[Principal, Recheck]:
        """Return who wants to listen, if they may, and how to ask again whether they still may."""
        if not ticket:
            principal = await self.authorize(request, route)
            return principal, lambda: self._authenticator.authenticate(request)
        _show_quota(request, self._count_address(request, route, AddressUse.OPEN))
        holder = await tickets.redeem(ticket)
        return holder.principal, lambda: tickets.find_principal(holder)


def require_permission(route: Route, principal: Principal) -> None:
    """Refuse a caller whose permissions do not allow the route. Raises: Denied."""
    missing = [name for name in route.permissions if name not in principal.permissions]
    if missing:
        raise Denied(
            f"{route.name} needs the permission {' and '.join(missing)}", code="http.denied"
        )


def require_session(caller: Caller) -> SessionUser:
    """Return the session by which a person asks. Raises: Denied for keys and the operator."""
    principal = caller.principal
    if principal.session_id is None or principal.user_id is None:
        raise Denied(
            "log in as a person for this: neither an API key nor http.token may",
            code="auth.session.needed",
        )
    return SessionUser(
        user_id=principal.user_id, session_id=principal.session_id, email=principal.name
    )


def _show_quota(request: web.Request, *quotas: RateQuota | None) -> None:
    """Show what is left of the tightest limit, whatever the answer becomes."""
    if (quota := tightest(quotas)) is not None:
        request[RESPONSE_HEADERS].update(quota.headers())
