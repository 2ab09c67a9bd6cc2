"""Supervisors: a list of children, a strategy, a restart limit within a window, backoff.

A child that keeps failing escalates to the supervisor above; the root gives up, and the process
exits non-zero so that its container restarts it. An optional child is parked instead.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from typing import Protocol

import anyio
import anyio.abc

from leadflood.engine.clock import REAL_TIME
from leadflood.engine.disk import is_full
from leadflood.engine.obs.log import log
from leadflood.engine.open_files import is_exhausted

EXHAUSTED_SECONDS = 1.0


class Strategy(StrEnum):
    """Restart strategies: the children that a failed one takes with it."""

    ONE_FOR_ONE = "one_for_one"
    ONE_FOR_ALL = "one_for_all"


class Health(StrEnum):
    """States of an actor."""

    WAITING = "waiting"
    RUNNING = "running"
    RESTARTING = "restarting"
    PARKED = "parked"
    STOPPED = "stopped"


class Actor(Protocol):
    """Something that runs until it is cancelled. Returning counts as a failure."""

    async def run(self) -> None:
        """Run until cancelled."""


class Child:
    """One child of a supervisor, with what operators see of it.

    `optional`: parked when it keeps failing. `may_end`: done for good when it returns; any other
    that returns has failed.
    """

    def __init__(
        self,
        name: str,
        run: Callable[[], Awaitable[None]],
        *,
        optional: bool = False,
        may_end: bool = False,
    ) -> None:
        self.name = name
        self.optional = optional
        self.may_end = may_end
        self._run = run
        self.health = Health.WAITING
        self.restarts = 0
        self.last_error = ""
        self.supervisor: Supervisor | None = None

    async def run(self) -> None:
        """Run until cancelled, or to its end. Raises: EndedEarly."""
        await self._run()
        if not self.may_end:
            raise EndedEarly(f"{self.name} returned; it was to run until it is stopped")


class EndedEarly(Exception):
    """An actor returned though nobody stopped it."""


class TooManyRestarts(Exception):
    """A child kept failing; the supervisor above must decide."""


class Supervisor:
    """Runs its children. `restarts` within `within_seconds` at most, then it gives up itself."""

    def __init__(
        self,
        name: str,
        children: Sequence[Child],
        strategy: Strategy = Strategy.ONE_FOR_ONE,
        restarts: int = 5,
        within_seconds: float = 60.0,
    ) -> None:
        self.name = name
        self.children = list(children)
        self.strategy = strategy
        self._most = restarts
        self._within_seconds = within_seconds
        self._failures: deque[float] = deque()
        self._last_failed: Child | None = None
        self._group: anyio.abc.TaskGroup | None = None

    def as_child(self) -> Child:
        """Return this supervisor as a child of another."""
        child = Child(self.name, self.run, may_end=True)
        child.supervisor = self
        return child

    async def run(self) -> None:
        """Run all children until cancelled.

        Raises: TooManyRestarts when a child keeps failing.
        """
        self._failures.clear()
        if self.strategy is Strategy.ONE_FOR_ONE:
            async with anyio.create_task_group() as group:
                self._group = group
                for child in self.children:
                    group.start_soon(self._keep_running, child)
            return
        while True:
            try:
                await self._run_together()
            except Exception as error:  # noqa: BLE001 - a supervisor is where failures are decided
                failed = self._last_failed or self.children[0]
                failed.health = Health.RESTARTING
                await self._note_failure(first_cause(error), failed)
            else:
                return

    async def _run_together(self) -> None:
        async with anyio.create_task_group() as group:
            for child in self.children:
                group.start_soon(self._run_once, child)

    async def _run_once(self, child: Child) -> None:
        child.health = Health.RUNNING
        try:
            await child.run()
        except Exception as error:
            child.last_error = describe(error)
            child.restarts += 1
            self._last_failed = child
            raise
        finally:
            child.health = Health.STOPPED

    async def _keep_running(self, child: Child) -> None:
        while True:
            child.health = Health.RUNNING
            try:
                await child.run()
            except Exception as error:  # noqa: BLE001 - see above
                child.last_error = describe(error)
                child.restarts += 1
                child.health = Health.RESTARTING
                if not await self._may_restart(child, error):
                    return
            else:
                child.health = Health.STOPPED
                return

    async def _may_restart(self, child: Child, error: Exception) -> bool:
        try:
            await self._note_failure(error, child)
        except TooManyRestarts:
            if not child.optional:
                raise
            child.health = Health.PARKED
            log.error("engine.actor.parked", actor=child.name, error=child.last_error)
            return False
        return True

    async def _note_failure(self, error: Exception, child: Child) -> None:
        """Count a failure, wait a little, or give up.

        One for want of a free descriptor or of room on a disk is nobody's, and does not count.
        """
        if is_full(error):
            log.error("engine.disk.full", actor=child.name, supervisor=self.name)
            await REAL_TIME.sleep(EXHAUSTED_SECONDS)
            return
        if is_exhausted(error):
            log.error("engine.files.exhausted", actor=child.name, supervisor=self.name)
            await REAL_TIME.sleep(EXHAUSTED_SECONDS)
            return
        now = REAL_TIME.monotonic()
        self._failures.append(now)
        while self._failures and self._failures[0] < now - self._within_seconds:
            self._failures.popleft()
        log.error(
            "engine.actor.failed",
            actor=child.name,
            supervisor=self.name,
            failures=len(self._failures),
            exc_info=error,
        )
        if len(self._failures) > self._most:
            text = f"{self.name}: {child.name} failed {len(self._failures)} times: {error}"
            raise TooManyRestarts(text) from error
        await REAL_TIME.sleep(min(0.05 * 2.0 ** len(self._failures), 5.0))


def first_cause(error: BaseException) -> Exception:
    """Find the cause inside a task group's exception group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error if isinstance(error, Exception) else RuntimeError(str(error))


def describe(error: BaseException) -> str:
    """Return an error in a line."""
    cause = first_cause(error)
    return f"{type(cause).__name__}: {cause}"[:300]
