"""A process that may open fewer files, for as long as a test says."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager

NONE = 3
"""With this limit nothing more can be opened: what is open already stays usable."""


@contextmanager
def limited_files(count: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
