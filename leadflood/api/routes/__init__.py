"""The routes of the API, a module a resource.

An endpoint is a handler, a service verb and a struct: the handler stands in the module of its
resource with `@get`, `@post`, `@put`, `@patch` or `@delete` above it, and its parameters and its
return annotation are its contract (`leadflood/api/http/routing.py`). It calls one verb of a
service and says what is shown. A handler that writes takes `uow: UnitOfWork`. A new module is one
line in `ALL_ROUTES`; docs/openapi.json and the tables of tests/api/test_access_matrix.py and
tests/api/test_posts.py say what is meant.
"""

from types import ModuleType
from typing import Any

import msgspec

from leadflood.api.http.openapi import describe
from leadflood.api.http.routing import Route, routes_of
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
    bulk_actions,
    companies,
    discovery_runs,
    docs,
    duplicates,
    events,
    feedback,
    health,
    icp_rules,
    icp_search,
    icps,
    import_mappings,
    imports,
    invitation_pages,
    jobs,
    lead_actions,
    lead_exports,
    lead_list,
    leads,
    liveness,
    me,
    messages,
    notifications,
    opt_ins,
    runs,
    sending,
    suppressions,
    templates,
    unsubscribe,
    users,
)
from leadflood.api.routes.docs import ApiDocument, find_assets

DESCRIPTION = "Find, enrich, score, write to and learn from leads."


ALL_ROUTES: tuple[ModuleType, ...] = (
    liveness,
    unsubscribe,
    auth,
    me,
    invitation_pages,
    users,
    api_keys,
    health,
    icps,
    icp_rules,
    icp_search,
    lead_list,
    lead_exports,
    companies,
    activities,
    leads,
    lead_actions,
    duplicates,
    opt_ins,
    feedback,
    bulk_actions,
    import_mappings,
    imports,
    discovery_runs,
    jobs,
    runs,
    messages,
    templates,
    suppressions,
    notifications,
    sending,
    admin_stages,
    admin_providers,
    audit,
    admin_settings,
    admin_statistics,
    admin_dead_letters,
    events,
    docs,
)
"""Every resource, in the order of the OpenAPI document."""


def list_routes() -> tuple[Route, ...]:
    """List the routes of all resources."""
    return tuple([route for resource in ALL_ROUTES for route in routes_of(resource)])


def make_document() -> ApiDocument:
    """Describe all routes for people and machines. Reads a folder: call it in a thread."""
    return ApiDocument(json=msgspec.json.encode(describe_api()), assets=find_assets())


def describe_api() -> dict[str, Any]:
    """Describe all routes: their handlers are read, not called."""
    return describe(list_routes(), DESCRIPTION)
