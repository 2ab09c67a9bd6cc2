"""One-time links: claim, invitation, reset."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec


class LinkKind(StrEnum):
    """Purposes of one-time links."""

    CLAIM = "claim"
    INVITATION = "invitation"
    RESET = "reset"


class OneTimeLink(msgspec.Struct, frozen=True, kw_only=True):
    """A one-time link, to be shown once: only the hash of its token is stored."""

    kind: LinkKind
    token: str
    expires_at: datetime

    @property
    def path(self) -> str:
        """The path of the page behind the link."""
        page = "claim" if self.kind is LinkKind.CLAIM else "register"
        return f"/{page}/{self.token}"


class LinkHolder(msgspec.Struct, frozen=True, kw_only=True):
    """The user whom a valid link is for.

    `kind`: what the link allows.
    `user_id`, `email`, `name`: None for a claim link, which is for nobody yet.
    `removes_totp`: whether using the link removes the second factor.
    """

    kind: LinkKind
    user_id: UUID | None
    removes_totp: bool
    email: str | None
    name: str | None
