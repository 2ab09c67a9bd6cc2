"""Jobs over HTTP."""

from uuid import UUID

from leadflood.api.edge import Node
from leadflood.api.route import Route
from leadflood.engine.errors import NotFound
from leadflood.engine.queue import jobs
from leadflood.engine.queue.jobs import JobView


class Jobs:
    """The routes of jobs."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def routes(self) -> tuple[Route, ...]:
        """List the rows of the table."""
        return (
            Route(
                method="GET", path="/v1/jobs/{jobId}", handler=self.get, permission="jobs:read",
                errors=(NotFound,),
            ),
        )  # fmt: skip

    async def get(self, job_id: UUID) -> JobView:
        """Show a job: queued, running, completed, failed or cancelled."""
        return await jobs.get(self._node.storage.db, job_id)
