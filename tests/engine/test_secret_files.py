import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from leadflood.engine.secret_files import SECRET_BYTES, SecretFile


def test_a_secret_is_created_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    file = SecretFile(tmp_path / "data" / "accounts.secret")

    assert file.read() is None
    secret = file.create()

    assert len(bytes.fromhex(secret)) == SECRET_BYTES
    assert file.create() == file.read() == secret
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert list(file.path.parent.iterdir()) == [file.path]


def test_a_secret_that_an_operator_wrote_is_read_without_its_newline(tmp_path: Path) -> None:
    file = SecretFile(tmp_path / "accounts.secret")
    file.path.write_text("theirs\n", "ascii")

    assert file.read() == file.create() == "theirs"


def test_two_first_starts_read_one_whole_secret(tmp_path: Path) -> None:
    files = [SecretFile(tmp_path / f"{number}.secret") for number in range(200)]

    with ThreadPoolExecutor(4) as threads:
        pairs = list(threads.map(lambda file: (file.create(), file.create()), files * 2))

    assert all(len(secret) == 2 * SECRET_BYTES for pair in pairs for secret in pair)
    assert len({secret for pair in pairs for secret in pair}) == len(files)


def test_a_crash_or_a_full_disk_leaves_no_half_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = SecretFile(tmp_path / "accounts.secret")

    def fail(_: int) -> None:
        raise OSError(28, "no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="no space"):
            file.create()

    assert list(tmp_path.iterdir()) == []
    assert len(file.create()) == 2 * SECRET_BYTES
