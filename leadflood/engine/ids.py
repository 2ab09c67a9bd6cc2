"""Ids made in the process: UUIDv7, so that follow-ups need no round trip and age is in the id.

Source: RFC 9562 §5.7. Layout: 48 bits of Unix milliseconds, version, 12 bits of a counter that
keeps ids of one process in order within a millisecond, variant, 62 random bits.
"""

import random
import secrets
from datetime import UTC, datetime, timedelta
from uuid import UUID, SafeUUID

from leadflood.engine.clock import Clock

NEWEST = UUID(int=2**128 - 1)
"""A cursor behind every id: where a list that goes back in time begins."""
OLDEST = UUID(int=0)
"""A cursor before every id: where a list that goes on in time begins."""
_VERSION = 0x7 << 76
_VARIANT = 0b10 << 62
_COUNTER_MASK = 0xFFF
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_new = object.__new__
_set = object.__setattr__
_UNKNOWN = SafeUUID.unknown


def _uuid(value: int) -> UUID:
    """Build a UUID without the constructor's checks (three times as fast; 1.1 → 0.4 µs)."""
    new_id = _new(UUID)
    _set(new_id, "int", value)
    _set(new_id, "is_safe", _UNKNOWN)
    return new_id


class Ids:
    """Generates ids from the injected clock and one seeded generator."""

    def __init__(self, clock: Clock, seed: int | None = None) -> None:
        self._clock = clock
        self._random = random.Random(secrets.randbits(128) if seed is None else seed)  # noqa: S311 - ids are names, not secrets
        self._last_ms = 0
        self._counter = 0

    def new(self) -> UUID:
        """Return an id greater than every id returned before."""
        return self.take(1)[0]

    def take(self, count: int) -> list[UUID]:
        """Return `count` ids in rising order."""
        made_ms = (self._clock.now() - _EPOCH) // _MILLISECOND
        bits = self._random.getrandbits
        ids = []
        for _ in range(count):
            stamp = self._next_stamp(made_ms)
            ids.append(_uuid(stamp | _VARIANT | bits(62)))
        return ids

    def _next_stamp(self, made_ms: int) -> int:
        if made_ms > self._last_ms:
            self._last_ms, self._counter = made_ms, 0
        else:
            self._counter += 1
            if self._counter > _COUNTER_MASK:
                self._last_ms, self._counter = self._last_ms + 1, 0
        return self._last_ms << 80 | _VERSION | self._counter << 64


def id_at(instant: datetime) -> UUID:
    """Return the smallest id of that instant: for deleting by age and paging by time."""
    return _uuid((instant - _EPOCH) // _MILLISECOND << 80 | _VERSION | _VARIANT)
