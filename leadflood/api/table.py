"""The table of all routes."""

from typing import Any, cast

import msgspec

from leadflood.api.activities import Activities
from leadflood.api.audit import AuditRecord
from leadflood.api.auth import Auth
from leadflood.api.auth_self import AuthSelf
from leadflood.api.bulk import Bulk
from leadflood.api.companies import Companies
from leadflood.api.dead_letters import DeadLetters
from leadflood.api.discovery import Discoveries
from leadflood.api.edge import Node
from leadflood.api.events import Events
from leadflood.api.export import Exports
from leadflood.api.feedback import FeedbackRoutes
from leadflood.api.icp import Icps
from leadflood.api.icp_rules import IcpRules
from leadflood.api.icp_search import IcpSearch
from leadflood.api.imports import Imports
from leadflood.api.jobs import Jobs
from leadflood.api.joining import JoiningPages
from leadflood.api.keys import Keys
from leadflood.api.lead_changes import LeadChangeRoutes
from leadflood.api.lead_desk import LeadDesk
from leadflood.api.lead_list import LeadLists
from leadflood.api.leads import Leads
from leadflood.api.messages import Messages
from leadflood.api.notifications import Notifications
from leadflood.api.openapi import Docs, describe, find_assets
from leadflood.api.operations import Operations
from leadflood.api.opt_ins import OptInRoutes
from leadflood.api.providers import Providers
from leadflood.api.public import Public
from leadflood.api.route import Route
from leadflood.api.runs import Runs
from leadflood.api.sending import Sending
from leadflood.api.settings import EffectiveSettings
from leadflood.api.stages import Stages
from leadflood.api.statistics import Statistics
from leadflood.api.suppressions import Suppressions
from leadflood.api.templates import TemplateRoutes
from leadflood.api.users import Users
from leadflood.engine.obs.feed import Hub
from leadflood.engine.obs.health import newest_revision
from leadflood.engine.obs.metrics import LoopLag, RouteMetrics


def make_table(
    node: Node, metrics: RouteMetrics, lag: LoopLag, hub: Hub | None, desk: LeadDesk
) -> tuple[Route, ...]:
    """List all routes of a node; `hub` None: only to be described.

    Reads files: call it in a thread.
    """
    icps, docs = Icps(node), Docs(find_assets())
    discoveries = Discoveries(node, icps)
    parts = (
        Public(node),
        Auth(node),
        AuthSelf(node),
        JoiningPages(node),
        Users(node),
        Keys(node),
        Operations(node, newest_revision(), metrics, lag),
        icps,
        IcpRules(node, icps),
        IcpSearch(node, icps, discoveries),
        LeadLists(node),
        Exports(node),
        Companies(node),
        Activities(node),
        Leads(desk),
        LeadChangeRoutes(node, icps),
        FeedbackRoutes(node, icps),
        Bulk(node, icps),
        Imports(node, icps),
        discoveries,
        Jobs(node),
        Runs(node),
        Messages(node),
        Suppressions(node),
        TemplateRoutes(node),
        OptInRoutes(node),
        Notifications(node),
        Sending(node),
        Stages(node),
        Providers(node),
        AuditRecord(node),
        EffectiveSettings(node),
        Statistics(node),
        DeadLetters(node),
        Events(node, hub),
        docs,
    )
    routes = tuple([route for part in parts for route in part.routes()])
    docs.document = msgspec.json.encode(describe(routes))
    return routes


def list_routes() -> tuple[Route, ...]:
    """List all routes without a node: to be described, not to be asked. Reads files."""
    node = cast("Node", None)
    return make_table(node, RouteMetrics(), LoopLag(), None, LeadDesk(node, Icps(node)))


def describe_api() -> dict[str, Any]:
    """Describe all routes without a node: their handlers are read, not asked."""
    return describe(list_routes())
