"""One-time links: whoever has the newest one may claim, register, or set a new password, once."""

import hashlib
import secrets
from datetime import timedelta
from uuid import UUID

from leadflood.domain.auth.repository.statements import SQL
from leadflood.domain.auth.schemas import Link, LinkHolder, LinkKind, Settings
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import NotFound

TOKEN_BYTES = 32
PAGES = {LinkKind.CLAIM: "claim", LinkKind.INVITATION: "register", LinkKind.RESET: "register"}


class Links:
    """Makes, finds and takes links; the token itself is kept nowhere."""

    def __init__(self, clock: Clock, settings: Settings) -> None:
        self._clock = clock
        self._hours = {
            LinkKind.CLAIM: settings.claim_hours,
            LinkKind.INVITATION: settings.invitation_hours,
            LinkKind.RESET: settings.reset_hours,
        }

    async def make(
        self, tx: Tx, kind: LinkKind, user_id: UUID | None = None, *, removes_totp: bool = False
    ) -> Link:
        """Make a link that replaces the former ones of the same person, or the claim link."""
        if user_id is None:
            await tx.execute(SQL.drop_claim_links)
        else:
            await tx.execute(SQL.drop_links, user_id=user_id)
        token, now = secrets.token_urlsafe(TOKEN_BYTES), self._clock.now()
        expires_at = now + timedelta(hours=self._hours[kind])
        await tx.execute(
            SQL.add_link, hash=_hash(token), kind=kind, user_id=user_id, now=now,
            removes_totp=removes_totp, expires_at=expires_at,
        )  # fmt: skip
        return Link(kind=kind, token=token, expires_at=expires_at)

    async def find(self, db: Reader, token: str) -> LinkHolder | None:
        """Find what a link is for; None: it is none of ours, used, replaced or too old."""
        row = await db.fetch_one(SQL.find_link, hash=_hash(token), now=self._clock.now())
        if row is None:
            return None
        return LinkHolder(
            kind=LinkKind(row["kind"]), user_id=row["user_id"], removes_totp=row["removes_totp"],
            email=row["email"], name=row["name"],
        )  # fmt: skip

    async def get(self, db: Reader, token: str) -> LinkHolder:
        """Get what a link is for. Raises: NotFound."""
        found = await self.find(db, token)
        if found is None:
            raise unknown_link()
        return found

    async def take(self, tx: Tx, token: str) -> LinkHolder:
        """Use a link up: of two at the same moment one gets it. Raises: NotFound."""
        found = await self.get(tx, token)
        taken = await tx.fetch_one(SQL.take_link, hash=_hash(token), now=self._clock.now())
        if taken is None:
            raise unknown_link()
        return found


def unknown_link() -> NotFound:
    """Say that a link does not work, not why: whoever tries tokens learns nothing."""
    return NotFound(
        "this link was used, replaced by a newer one, is too old, or was cut: ask for a new one"
        " (the first administrator's: `leadflood claim`)",
        code="auth.link.unknown",
    )


def path_of(link: Link) -> str:
    """Tell the path of the page behind a link."""
    return f"/{PAGES[link.kind]}/{link.token}"


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
