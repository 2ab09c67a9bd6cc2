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
    activities,
    admin_dead_letters,
    admin_providers,
    admin_settings,
    admin_stages,
    admin_statistics,
    api_keys,
    audit,
    auth,
    companies,
    discovery_runs,
    docs,
    health,
    icp_search,
    invitation_pages,
    jobs,
    lead_actions,
    lead_exports,
    lead_list,
    leads,
    me,
    notifications,
    opt_ins,
    runs,
    suppressions,
    templates,
    users,
)
from leadflood.api.routes.bulk_actions import Bulk
from leadflood.api.routes.docs import ApiDocument, find_assets
from leadflood.api.routes.events import Events
from leadflood.api.routes.feedback import FeedbackRoutes
from leadflood.api.routes.icp_rules import IcpRules
from leadflood.api.routes.icps import Icps
from leadflood.api.routes.imports import Imports
from leadflood.api.routes.messages import Messages
from leadflood.api.routes.sending import Sending
from leadflood.api.routes.unsubscribe import Public
from leadflood.api.services import Node
from leadflood.engine.obs.event_feed import EventHub

DESCRIPTION = "Find, enrich, score, write to and learn from leads."


class ServerParts(msgspec.Struct, frozen=True, kw_only=True):
    """What route classes are built from; `hub` None: only to be described."""

    node: Node
    hub: EventHub | None
    desk: LeadDesk


RouteClass = Callable[[ServerParts], Any]
ALL_ROUTES: tuple[ModuleType | RouteClass, ...] = (
    lambda parts: Public(parts.node),
    auth,
    me,
    invitation_pages,
    users,
    api_keys,
    health,
    lambda parts: Icps(parts.node),
    lambda parts: IcpRules(parts.node),
    icp_search,
    lead_list,
    lead_exports,
    companies,
    activities,
    leads,
    lead_actions,
    opt_ins,
    lambda parts: FeedbackRoutes(parts.node),
    lambda parts: Bulk(parts.node),
    lambda parts: Imports(parts.node),
    discovery_runs,
    jobs,
    runs,
    lambda parts: Messages(parts.node),
    templates,
    suppressions,
    notifications,
    lambda parts: Sending(parts.node),
    admin_stages,
    admin_providers,
    audit,
    admin_settings,
    admin_statistics,
    admin_dead_letters,
    lambda parts: Events(parts.node, parts.hub),
    docs,
)
"""Every resource, in the order of the OpenAPI document: a module, or a class until it is one."""


def make_routes(parts: ServerParts) -> tuple[Route, ...]:
    """List all routes, those that explain the others last."""
    routes: list[Route] = []
    for resource in ALL_ROUTES:
        if isinstance(resource, ModuleType):
            routes += routes_of(resource)
        else:
            routes += resource(parts).routes()
    return tuple(routes)


def make_document() -> ApiDocument:
    """Describe all routes for people and machines. Reads a folder: call it in a thread."""
    return ApiDocument(json=msgspec.json.encode(describe_api()), assets=find_assets())


def list_routes() -> tuple[Route, ...]:
    """List all routes without a node: to be described, not to be asked."""
    node = cast("Node", None)
    return make_routes(ServerParts(node=node, hub=None, desk=LeadDesk(node)))


def describe_api() -> dict[str, Any]:
    """Describe all routes without a node: their handlers are read, not asked."""
    return describe(list_routes(), DESCRIPTION)
