"""Open files: how many this process may have at once, sockets included, and having none left.

A process without a free descriptor can open nothing, its database's files included; that passes
as soon as something is closed, so nobody is at fault for it.
"""

import errno
import resource

from leadflood.engine.errors import Transient, causes_of

_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE})


class FilesExhausted(Transient):
    """This process, or its machine, may open no more files for the moment."""

    code = "engine.files.exhausted"


def read_limit() -> int:
    """Return how many files this process may have open at once."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def raise_limit() -> None:
    """Raise the soft limit to the hard one, which takes no right."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):  # macOS names a hard limit that it does not grant
        return


def is_exhausted(error: BaseException) -> bool:
    """Whether an error, or what it came from, is that no more files may be opened."""
    return any(
        isinstance(cause, FilesExhausted)
        or (isinstance(cause, OSError) and cause.errno in _EXHAUSTED)
        for cause in causes_of(error)
    )
