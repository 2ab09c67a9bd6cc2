import stat
from pathlib import Path

from leadflood.engine import secret_files


def test_a_secret_is_created_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "data" / "hash.secret"

    secret = secret_files.read_or_create(path)

    assert len(bytes.fromhex(secret)) == secret_files.SECRET_BYTES
    assert secret_files.read_or_create(path) == secret
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_secret_that_an_operator_wrote_is_read_without_its_newline(tmp_path: Path) -> None:
    path = tmp_path / "hash.secret"
    path.write_text("theirs\n", "ascii")

    assert secret_files.read_or_create(path) == "theirs"
