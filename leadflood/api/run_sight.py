"""Whose runs are: who sees only his own leads sees and stops no work of others on theirs.

Searches are the whole team's.
"""

from collections.abc import Sequence
from uuid import UUID

from leadflood.api.http.request_context import Caller
from leadflood.api.services import Node
from leadflood.domain.auth.service.lead_ownership import LeadOwnership
from leadflood.domain.bulk_actions.service import BulkService
from leadflood.engine.errors import Denied, NotFound
from leadflood.engine.queue.runs import Run


async def hidden_among(node: Node, found: Sequence[Run], caller: Caller) -> frozenset[UUID]:
    """Tell which of these runs are imports and bulk actions of others that he may not see."""
    sees = caller.principal.sees_owner
    if sees is None:
        return frozenset()
    services = node.services
    imports = [run.id for run in found if run.kind == "import"]
    actions = [run.id for run in found if run.kind == "bulk"]
    owners = await LeadOwnership(services.db).find_owners(imports)
    makers = await BulkService(services.ids, services.clock).makers_of(services.db, actions)
    return frozenset(
        {one for one in imports if owners.get(one) != str(sees)}
        | {one for one in actions if makers.get(one) != caller.by}
    )


async def require_visible(node: Node, run: Run, caller: Caller) -> None:
    """Refuse a run that is not there for the caller. Raises: NotFound."""
    if await hidden_among(node, [run], caller):
        raise NotFound(f"there is no run {run.id}", code="runs.not_found")


async def require_may_cancel(node: Node, run: Run, caller: Caller) -> None:
    """Refuse to stop what others do for their own leads. Raises: NotFound, Denied."""
    await require_visible(node, run, caller)
    if caller.principal.sees_owner is not None and run.kind == "lead":
        raise Denied(
            "who sees only his own leads cannot stop the work on a single one, which may be"
            " another's: ask a manager",
            code="runs.cancel.denied",
        )
