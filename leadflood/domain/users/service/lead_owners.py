"""Lead owners: which users leads may be given to."""

from uuid import UUID

from leadflood.domain.auth.schemas.users import UserState
from leadflood.domain.users.service.users import Users
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import Invalid, NotFound


class LeadOwners:
    """The users that leads may be given to."""

    def __init__(self, users: Users) -> None:
        self._users = users

    async def resolve(self, owner_id: UUID | None, tx: Tx | None = None) -> str | None:
        """Return an owner as leads name it, None: nobody; `tx` where one is open.

        Raises: Invalid when no active user has this id.
        """
        if owner_id is None:
            return None
        try:
            user = await self._users.get(owner_id, tx)
        except NotFound as error:
            raise _invalid(owner_id, "there is no such user") from error
        if user.state is not UserState.ACTIVE:
            raise _invalid(owner_id, f"this user is {user.state.value}")
        return str(owner_id)


def _invalid(owner_id: UUID, problem: str) -> Invalid:
    return Invalid.field(
        "ownerId",
        problem,
        detail=f"{owner_id} cannot own leads: {problem}",
        code="leads.owner.invalid",
    )
