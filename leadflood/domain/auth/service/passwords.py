"""Passwords: argon2id, in few threads, so that a flood of logins cannot take the node.

Source: RFC 9106 (argon2id); parameters from OWASP's password storage page, read 2026-11.
"""

from functools import partial

from anyio import CapacityLimiter, to_thread
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from leadflood.domain.auth.rules.passwords import MOST_PASSWORD_CHARS, normalize_password
from leadflood.domain.auth.schemas import Settings

AT_ONCE = 2


class Passwords:
    """Hashes and checks; at most two at once."""

    def __init__(self, settings: Settings) -> None:
        self._hasher = PasswordHasher(
            time_cost=settings.argon2_passes,
            memory_cost=settings.argon2_memory_kib,
            parallelism=1,
        )
        self._limiter: CapacityLimiter | None = None
        self._dummy = ""

    @property
    def slots(self) -> CapacityLimiter:
        """Who holds one of these may hash."""
        if self._limiter is None:
            self._limiter = CapacityLimiter(AT_ONCE)
        return self._limiter

    async def hash(self, password: str) -> str:
        """Hash a password. Waits: for one of the few threads."""
        return await to_thread.run_sync(
            self._hasher.hash, normalize_password(password), limiter=self.slots
        )

    async def renew(self, password: str) -> str:
        """Hash a password that was just checked, in the slot held for that."""
        return await to_thread.run_sync(self._hasher.hash, normalize_password(password))

    async def is_right(self, password_hash: str | None, password: str) -> bool:
        """Compare; None costs the same and is never right. Hold one of `slots`."""
        if not self._dummy:
            self._dummy = await to_thread.run_sync(self._hasher.hash, "nobody's password")
        if len(password) > MOST_PASSWORD_CHARS:
            return False
        check = partial(self._verify, password_hash or self._dummy, normalize_password(password))
        return await to_thread.run_sync(check) and password_hash is not None

    def _verify(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False

    def is_outdated(self, password_hash: str) -> bool:
        """Tell whether a hash was made with other parameters than those of today."""
        return self._hasher.check_needs_rehash(password_hash)
