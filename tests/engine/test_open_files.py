"""Open files: the limit, and having none left."""

import errno
import resource

import pytest
from leadflood.engine.errors import Transient
from leadflood.engine.open_files import FilesExhausted, is_exhausted, raise_limit, read_limit
from tests.support.open_files import limited_files


def test_the_soft_limit_is_raised_to_the_hard_one() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with limited_files(hard // 2):
        assert read_limit() == hard // 2

        raise_limit()

        assert read_limit() == hard


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_a_process_without_a_free_descriptor_is_known_behind_any_error(number: int) -> None:
    cause = OSError(number, "too many open files")
    refused = ValueError("the file cannot be read")
    refused.__cause__ = cause

    assert is_exhausted(cause)
    assert is_exhausted(refused)
    assert is_exhausted(ExceptionGroup("both", [KeyError(), refused]))
    assert not is_exhausted(OSError(errno.ENOENT, "no such file"))
    assert issubclass(FilesExhausted, Transient)
