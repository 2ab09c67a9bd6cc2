"""Providers and budgets over HTTP: limits, money, breaker, errors; changed while all runs."""

import msgspec

from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import delete, get, patch, post, put
from leadflood.api.http.unit_of_work import LateUnitOfWork, UnitOfWork
from leadflood.api.routes.admin_stages import Why
from leadflood.api.services import Services
from leadflood.engine.control.schemas import (
    BreakerReset,
    BudgetChange,
    BudgetView,
    ProviderChange,
    ProviderView,
)
from leadflood.engine.errors import Invalid, NotFound, PreconditionFailed
from leadflood.engine.ledger.override_rows import OverrideAuthor


@get("/v1/admin/providers", permission="admin:read")
async def list_providers(services: Services) -> list[ProviderView]:
    """Show every provider: limits and their use, money, breaker, errors, speed."""
    return await services.control.providers.list_all()


@get("/v1/admin/providers/{provider}", permission="admin:read", errors=(NotFound,), shows_more=True)
async def get_provider(provider: str, services: Services) -> ProviderView:
    """Show a provider: limits and their use, money, breaker, errors, speed."""
    return await services.control.providers.get(provider)


@patch(
    "/v1/admin/providers/{provider}",
    permission="admin:write",
    errors=(NotFound, Invalid, PreconditionFailed),
    takes_if_match=True,
    shows_more=True,
)
async def change_provider(
    provider: str,
    body: ProviderChange,
    caller: Caller,
    services: Services,
    late_uow: LateUnitOfWork[None],
) -> ProviderView:
    """Change a provider's limits, caps or switch while all runs; nodes follow in a second."""
    providers, author = services.control.providers, _author_of(caller, body.reason)
    async with late_uow.open() as uow:
        await providers.change(uow.tx, provider, body, author)
        await uow.audit("provider.changed", provider, **msgspec.to_builtins(body))
    return await providers.get_refreshed(provider)


@put(
    "/v1/admin/providers/{provider}/stop",
    permission="admin:write",
    errors=(NotFound,),
    shows_more=True,
)
async def stop_provider(
    provider: str, body: Why, caller: Caller, services: Services, late_uow: LateUnitOfWork[None]
) -> ProviderView:
    """Ask a provider nothing any more, on all nodes."""
    providers = services.control.providers
    async with late_uow.open() as uow:
        await providers.switch_off(uow.tx, provider, caller.by, body.reason)
        await uow.audit("provider.stopped", provider, reason=body.reason)
    return await providers.get_refreshed(provider)


@delete(
    "/v1/admin/providers/{provider}/stop",
    permission="admin:write",
    errors=(NotFound,),
    shows_more=True,
)
async def start_provider(
    provider: str, services: Services, late_uow: LateUnitOfWork[None]
) -> ProviderView:
    """Enable a provider again."""
    providers = services.control.providers
    async with late_uow.open() as uow:
        if await providers.switch_on(uow.tx, provider):
            await uow.audit("provider.started", provider)
    return await providers.get_refreshed(provider)


@post("/v1/admin/providers/{provider}/breaker-reset", permission="admin:write", errors=(NotFound,))
async def reset_breaker(
    provider: str, caller: Caller, services: Services, uow: UnitOfWork
) -> BreakerReset:
    """Close a provider's breaker on all nodes; it opens again if the failures go on."""
    author = OverrideAuthor(by_whom=caller.by, reason="breaker closed by hand")
    resets = await services.control.providers.reset_breaker(uow.tx, provider, author)
    uow.after_commit(services.engine.switches.refresh)
    await uow.audit("provider.breaker_reset", provider)
    return BreakerReset(provider=provider, resets=resets)


@get("/v1/admin/budget", permission="admin:read", shows_more=True)
async def get_budget(services: Services) -> BudgetView:
    """Show the caps over all providers and what is used of them, and of each open run's."""
    return await services.control.budgets.get()


@patch(
    "/v1/admin/budget",
    permission="admin:write",
    errors=(PreconditionFailed,),
    takes_if_match=True,
    shows_more=True,
)
async def change_budget(
    body: BudgetChange, caller: Caller, services: Services, late_uow: LateUnitOfWork[None]
) -> BudgetView:
    """Change the caps over all providers while all runs; nodes follow in a second."""
    budgets, author = services.control.budgets, _author_of(caller, body.reason)
    async with late_uow.open() as uow:
        await budgets.change(uow.tx, body, author)
        await uow.audit("budget.changed", **msgspec.to_builtins(body))
    return await budgets.get_refreshed()


def _author_of(caller: Caller, reason: str) -> OverrideAuthor:
    return OverrideAuthor(by_whom=caller.by, reason=reason, if_version=caller.if_match)
