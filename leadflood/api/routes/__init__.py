"""The routes of the API, a module a resource.

An endpoint is a handler, a service verb and a struct: the handler stands in the module of its
resource with `@get`, `@post`, `@put`, `@patch` or `@delete` above it, and its parameters and its
return annotation are its contract (`leadflood/api/http/routing.py`). It calls one verb of a
service and says what is shown. A handler that writes takes `uow: UnitOfWork`. A new module is one
line in `ALL_ROUTES`; docs/openapi.json and the tables of tests/api/test_access_matrix.py and
tests/api/test_posts.py tell what is meant.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any, cast

import msgspec

from leadflood.api.http.openapi import describe
from leadflood.api.http.routing import Route, routes_of
from leadflood.api.lead_desk import LeadDesk
from leadflood.api.routes import (
    admin_dead_letters,
    api_keys,
    audit,
    events,
    icp_rules,
    icps,
    jobs,
    notifications,
    opt_ins,
    suppressions,
    templates,
)
from leadflood.api.routes.activities import Activities
from leadflood.api.routes.admin_providers import Providers
from leadflood.api.routes.admin_settings import EffectiveSettings
from leadflood.api.routes.admin_stages import Stages
from leadflood.api.routes.admin_statistics import Statistics
from leadflood.api.routes.auth import Auth
from leadflood.api.routes.bulk_actions import Bulk
from leadflood.api.routes.companies import Companies
from leadflood.api.routes.discovery_runs import Discoveries
from leadflood.api.routes.docs import Docs, find_assets
from leadflood.api.routes.feedback import FeedbackRoutes
from leadflood.api.routes.health import Operations
from leadflood.api.routes.icp_search import IcpSearch
from leadflood.api.routes.imports import Imports
from leadflood.api.routes.invitation_pages import JoiningPages
from leadflood.api.routes.lead_actions import LeadChangeRoutes
from leadflood.api.routes.lead_exports import Exports
from leadflood.api.routes.lead_list import LeadLists
from leadflood.api.routes.leads import Leads
from leadflood.api.routes.me import AuthSelf
from leadflood.api.routes.messages import Messages
from leadflood.api.routes.runs import Runs
from leadflood.api.routes.sending import Sending
from leadflood.api.routes.unsubscribe import Public
from leadflood.api.routes.users import Users
from leadflood.api.services import Node
from leadflood.engine.obs.event_feed import EventHub
from leadflood.engine.obs.health import newest_revision
from leadflood.engine.obs.metrics import LoopLag, RouteMetrics

DESCRIPTION = "Find, enrich, score, write to and learn from leads."


class ServerParts(msgspec.Struct, frozen=True, kw_only=True):
    """What route classes are built from; `hub` None: only to be described."""

    node: Node
    metrics: RouteMetrics
    lag: LoopLag
    hub: EventHub | None
    desk: LeadDesk


RouteClass = Callable[[ServerParts], Any]
ALL_ROUTES: tuple[ModuleType | RouteClass, ...] = (
    lambda parts: Public(parts.node),
    lambda parts: Auth(parts.node),
    lambda parts: AuthSelf(parts.node),
    lambda parts: JoiningPages(parts.node),
    lambda parts: Users(parts.node),
    api_keys,
    lambda parts: Operations(parts.node, newest_revision(), parts.metrics, parts.lag),
    icps,
    icp_rules,
    lambda parts: IcpSearch(parts.node, Discoveries(parts.node)),
    lambda parts: LeadLists(parts.node),
    lambda parts: Exports(parts.node),
    lambda parts: Companies(parts.node),
    lambda parts: Activities(parts.node),
    lambda parts: Leads(parts.desk),
    lambda parts: LeadChangeRoutes(parts.node),
    opt_ins,
    lambda parts: FeedbackRoutes(parts.node),
    lambda parts: Bulk(parts.node),
    lambda parts: Imports(parts.node),
    lambda parts: Discoveries(parts.node),
    jobs,
    lambda parts: Runs(parts.node),
    lambda parts: Messages(parts.node),
    templates,
    suppressions,
    notifications,
    lambda parts: Sending(parts.node),
    lambda parts: Stages(parts.node),
    lambda parts: Providers(parts.node),
    audit,
    lambda parts: EffectiveSettings(parts.node),
    lambda parts: Statistics(parts.node),
    admin_dead_letters,
    events,
)
"""Every resource, in the order of the OpenAPI document: a module, or a class until it is one."""


def make_routes(parts: ServerParts) -> tuple[Route, ...]:
    """List all routes, those that explain the others last. Reads files: call it in a thread."""
    docs = Docs(find_assets())
    routes: list[Route] = []
    for resource in ALL_ROUTES:
        if isinstance(resource, ModuleType):
            routes += routes_of(resource)
        else:
            routes += resource(parts).routes()
    routes += docs.routes()
    docs.document = msgspec.json.encode(describe(routes, DESCRIPTION))
    return tuple(routes)


def list_routes() -> tuple[Route, ...]:
    """List all routes without a node: to be described, not to be asked. Reads files."""
    node = cast("Node", None)
    return make_routes(
        ServerParts(node=node, metrics=RouteMetrics(), lag=LoopLag(), hub=None, desk=LeadDesk(node))
    )


def describe_api() -> dict[str, Any]:
    """Describe all routes without a node: their handlers are read, not asked."""
    return describe(list_routes(), DESCRIPTION)
