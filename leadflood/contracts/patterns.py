"""Patterns: the regular expressions that people write, compiled in one way everywhere.

RE2 runs in linear time; what remains is the constant, which grows with the compiled size.
Source: measured on one core of this project's machine: no pattern within the bounds takes more
than 8 ms to compile or 0.1 s to search 4,000 characters.
"""

from collections.abc import Iterable

import re2  # type: ignore[import-untyped] # google-re2 ships no types

from leadflood.engine.text import make_encodable

MAX_PATTERN_CHARS = 500
MAX_PATTERN_SIZE = 4_000
"""Instructions of a compiled pattern; `\\pL` alone has about 1,300."""
MAX_SEARCHED_CHARS = 10_000
_MAX_BYTES = 1 << 18
"""The memory of a compiled pattern, in which a refusal takes some milliseconds at most."""


class PatternRefused(ValueError):
    """A text is no pattern within the bounds; the message says what to mend."""


class Pattern:
    """A compiled pattern: found anywhere in a text, without regard to case."""

    __slots__ = ("_compiled", "size")

    def __init__(self, compiled: "re2._Regexp") -> None:
        self._compiled = compiled
        self.size: int = compiled.programsize

    def is_in_any(self, texts: Iterable[object]) -> bool:
        """Whether one of the texts holds it; what is no text does not."""
        return any(
            self._compiled.search(make_encodable(text[:MAX_SEARCHED_CHARS])) is not None
            for text in texts
            if isinstance(text, str)
        )


def compile_pattern(text: str) -> Pattern:
    """Compile a pattern. Raises: PatternRefused."""
    if len(text) > MAX_PATTERN_CHARS:
        raise PatternRefused(
            f"has {len(text)} characters: {MAX_PATTERN_CHARS} at most, split the rule"
        )
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = False
    options.max_mem = _MAX_BYTES
    try:
        pattern = Pattern(re2.compile(text, options))
    except (re2.error, ValueError) as error:
        reason = error.args[0] if error.args else error
        words = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise PatternRefused(
            f"is not a regular expression that RE2 reads ({words}): mend it; look-around and"
            " back-references do not exist there"
        ) from error
    if pattern.size > MAX_PATTERN_SIZE:
        raise PatternRefused(
            f"is too large when compiled ({pattern.size} steps, {MAX_PATTERN_SIZE} at most):"
            " use fewer repetitions and classes such as \\pL"
        )
    return pattern
