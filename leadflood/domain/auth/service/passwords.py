"""Password hashing: argon2id, in few threads, so that a flood of logins cannot take the node.

Source: RFC 9106 (argon2id); parameters from OWASP's password storage page, read 2026-11.
"""

from functools import partial

from anyio import CapacityLimiter, to_thread
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from leadflood.domain.auth.rules.passwords import MAX_PASSWORD_CHARS, normalize_password
from leadflood.domain.auth.schemas.settings import Settings

MAX_THREADS = 2


class Passwords:
    """Hashes and verifies passwords, at most two at once."""

    def __init__(self, settings: Settings) -> None:
        self._hasher = PasswordHasher(
            time_cost=settings.argon2_passes,
            memory_cost=settings.argon2_memory_kib,
            parallelism=1,
        )
        self._limiter: CapacityLimiter | None = None
        self._dummy_hash = ""

    @property
    def slots(self) -> CapacityLimiter:
        """The slots for hashing; made late, because a limiter belongs to an event loop."""
        if self._limiter is None:
            self._limiter = CapacityLimiter(MAX_THREADS)
        return self._limiter

    async def hash(self, password: str) -> str:
        """Hash a password. Waits: for a slot."""
        return await to_thread.run_sync(
            self._hasher.hash, normalize_password(password), limiter=self.slots
        )

    async def rehash(self, password: str) -> str:
        """Hash a password that was just verified. The caller holds one of `slots`."""
        return await to_thread.run_sync(self._hasher.hash, normalize_password(password))

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether a password is right; no hash costs the same. The caller holds one of `slots`."""
        if not self._dummy_hash:
            self._dummy_hash = await to_thread.run_sync(self._hasher.hash, "nobody's password")
        if len(password) > MAX_PASSWORD_CHARS:
            return False
        verify = partial(
            self._verify, password_hash or self._dummy_hash, normalize_password(password)
        )
        return await to_thread.run_sync(verify) and password_hash is not None

    def needs_rehash(self, password_hash: str) -> bool:
        """Whether a hash was made with other parameters than those of today."""
        return self._hasher.check_needs_rehash(password_hash)

    def _verify(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False
