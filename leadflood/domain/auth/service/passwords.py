"""Password hashing: argon2id, in few threads with a short queue.

A flood of logins takes half of the cores at most, and nobody waits for long: who would is turned
away. Strangers pass a gate as wide as the threads are many and wait there: whoever is known waits
for those at work, never behind a crowd of strangers. Judging how guessable a new password is costs
as much, so it takes such a thread too.

Source: RFC 9106 (argon2id); parameters from OWASP's password storage page, read 2026-11.
"""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import anyio
from anyio import Semaphore, to_thread
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from leadflood.domain.auth.rules.passwords import (
    MAX_PASSWORD_CHARS,
    check_password,
    normalize_password,
)
from leadflood.domain.auth.schemas.settings import Settings
from leadflood.engine.errors import Transient

MAX_THREADS = max(1, min(4, (os.cpu_count() or 1) // 2))
MAX_WAITING = 20
MAX_WAIT_SECONDS = 2.0


class Passwords:
    """Hashes and verifies passwords, few at once."""

    def __init__(self, settings: Settings) -> None:
        self._hasher = PasswordHasher(
            time_cost=settings.argon2_passes,
            memory_cost=settings.argon2_memory_kib,
            parallelism=1,
        )
        self._free_slots: Semaphore | None = None
        self._gate: Semaphore | None = None
        self._dummy_hash = ""

    @asynccontextmanager
    async def slot(self, *, is_known: bool = True) -> AsyncIterator[None]:
        """Hold a slot for hashing while the block runs; strangers (not `is_known`) come last.

        Waits: for a slot, briefly. Raises: Transient when too many wait, or too long.
        """
        if self._free_slots is None or self._gate is None:  # late: they belong to an event loop
            self._free_slots, self._gate = Semaphore(MAX_THREADS), Semaphore(MAX_THREADS)
        async with AsyncExitStack() as held:
            with anyio.move_on_after(MAX_WAIT_SECONDS) as waiting:
                if not is_known:
                    await _take(self._gate, held)
                await _take(self._free_slots, held)
            if waiting.cancelled_caught:
                raise _busy()
            yield

    async def check(self, password: str, email: str) -> None:
        """Refuse a new password that is easily guessed. Raises: Invalid, Transient."""
        async with self.slot():
            await to_thread.run_sync(check_password, password, email)

    async def hash(self, password: str) -> str:
        """Hash a password. Raises: Transient."""
        async with self.slot():
            return await to_thread.run_sync(self._hasher.hash, normalize_password(password))

    async def rehash(self, password: str) -> str:
        """Hash a password that was just verified. The caller holds a slot."""
        return await to_thread.run_sync(self._hasher.hash, normalize_password(password))

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether a password is right; no hash costs the same. The caller holds a slot."""
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


async def _take(semaphore: Semaphore, held: AsyncExitStack) -> None:
    if semaphore.statistics().tasks_waiting >= MAX_WAITING:
        raise _busy()
    await held.enter_async_context(semaphore)


def _busy() -> Transient:
    return Transient(
        "too many passwords are being checked: try again in a moment",
        MAX_WAIT_SECONDS,
        code="auth.login.busy",
    )
