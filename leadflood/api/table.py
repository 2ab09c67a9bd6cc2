"""The table of all routes."""

import msgspec

from leadflood.api.discovery import Discoveries
from leadflood.api.edge import Node
from leadflood.api.icp import Icps
from leadflood.api.jobs import Jobs
from leadflood.api.leads import Leads
from leadflood.api.openapi import Docs, describe
from leadflood.api.operations import Operations
from leadflood.api.public import Public
from leadflood.api.route import Route
from leadflood.engine.obs.metrics import LoopLag, RouteMetrics


def make_table(node: Node, newest: str, metrics: RouteMetrics, lag: LoopLag) -> tuple[Route, ...]:
    """List all routes of a node; `newest` is the newest migration known."""
    icps, docs = Icps(node), Docs()
    parts = (
        Public(node),
        Operations(node, newest, metrics, lag),
        icps,
        Leads(node, icps),
        Discoveries(node, icps),
        Jobs(node),
        docs,
    )
    routes = tuple([route for part in parts for route in part.routes()])
    docs.document = msgspec.json.encode(describe(routes))
    return routes
