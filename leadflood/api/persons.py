"""What only a person may do who logged in himself: not a key, not the operator."""

from uuid import UUID

import msgspec

from leadflood.api.edge import Caller
from leadflood.engine.errors import Denied


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody with a session."""

    user_id: UUID
    session_id: UUID
    email: str


def require_session(caller: Caller) -> Person:
    """Tell which person asks. Raises: Denied for keys and the operator."""
    principal = caller.principal
    if principal.session_id is None or principal.user_id is None:
        raise Denied(
            "log in as a person for this: neither an API key nor http.token may",
            code="auth.session.needed",
        )
    return Person(user_id=principal.user_id, session_id=principal.session_id, email=principal.name)
