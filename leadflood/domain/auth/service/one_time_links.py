"""One-time links: whoever has the newest one may claim, register, or set a new password, once."""

import secrets
from datetime import timedelta
from uuid import UUID

from leadflood.domain.auth.repository import one_time_links
from leadflood.domain.auth.repository.one_time_links import NewLink
from leadflood.domain.auth.rules.refresh_tokens import hash_token
from leadflood.domain.auth.schemas.links import LinkHolder, LinkKind, OneTimeLink
from leadflood.domain.auth.schemas.settings import Settings
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import NotFound

TOKEN_BYTES = 32


class OneTimeLinks:
    """Creates, finds and consumes links; of a token only its hash is stored."""

    def __init__(self, clock: Clock, settings: Settings) -> None:
        self._clock = clock
        self._lifetimes = {
            LinkKind.CLAIM: timedelta(hours=settings.claim_hours),
            LinkKind.INVITATION: timedelta(hours=settings.invitation_hours),
            LinkKind.RESET: timedelta(hours=settings.reset_hours),
        }

    async def create(
        self, tx: Tx, kind: LinkKind, user_id: UUID | None = None, *, removes_totp: bool = False
    ) -> OneTimeLink:
        """Create a link that replaces the former ones of its user, or the claim link."""
        if user_id is None:
            await one_time_links.delete_claim_links(tx)
        else:
            await one_time_links.delete_links(tx, user_id)
        token, now = secrets.token_urlsafe(TOKEN_BYTES), self._clock.now()
        link = OneTimeLink(kind=kind, token=token, expires_at=now + self._lifetimes[kind])
        await one_time_links.add_link(
            tx,
            NewLink(
                token_hash=hash_token(token),
                kind=kind,
                user_id=user_id,
                removes_totp=removes_totp,
                created_at=now,
                expires_at=link.expires_at,
            ),
        )
        return link

    async def find(self, db: Reader, token: str) -> LinkHolder | None:
        """Find the holder of a link; None when it was used or replaced, expired, or never was."""
        return await one_time_links.find_link(db, hash_token(token), self._clock.now())

    async def get(self, db: Reader, token: str) -> LinkHolder:
        """Get the holder of a link. Raises: NotFound."""
        holder = await self.find(db, token)
        if holder is None:
            raise unknown_link()
        return holder

    async def consume(self, tx: Tx, token: str) -> LinkHolder:
        """Use a link up: of two transactions at the same moment one gets it. Raises: NotFound."""
        holder = await self.get(tx, token)
        if not await one_time_links.consume_link(tx, hash_token(token), self._clock.now()):
            raise unknown_link()
        return holder


def unknown_link() -> NotFound:
    """Return the refusal of a link, without the reason: whoever tries tokens learns nothing."""
    return NotFound(
        "this link was used, replaced by a newer one, is too old, or was cut: ask for a new one"
        " (the first administrator's: `leadflood claim`)",
        code="auth.link.not_found",
    )
