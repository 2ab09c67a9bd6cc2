"""Statistics over HTTP: how much waits, how large it is, what was spent; quick at any size."""

from leadflood.api.http.routing import get
from leadflood.api.services import Services
from leadflood.engine.control.schemas import StatisticsView


@get("/v1/admin/statistics", permission="admin:read")
async def show_statistics(services: Services) -> StatisticsView:
    """Show queue, tables, connections, the log of events and the ledger in numbers."""
    return await services.control.statistics.read()
