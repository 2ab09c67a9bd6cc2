"""Secret files: a random secret of this installation, made at the first start."""

import os
import secrets
from pathlib import Path

SECRET_BYTES = 32


class SecretFile:
    """A file with a secret, which only its owner may read. It is there whole, or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> str | None:
        """Return the secret; None when there is no file."""
        try:
            return self.path.read_text("ascii").strip()
        except FileNotFoundError:
            return None

    def create(self) -> str:
        """Return a new random secret that is on the disk, or the one of whoever was first.

        It is written aside and linked: neither a crash nor a full disk leaves half a secret,
        and of two processes at once both return the same.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        secret = secrets.token_hex(SECRET_BYTES)
        aside = self.path.with_name(f".{self.path.name}.{secrets.token_hex(8)}")
        try:
            _write_synced(aside, secret)
            os.link(aside, self.path)
        except FileExistsError:
            return self.path.read_text("ascii").strip()
        finally:
            aside.unlink(missing_ok=True)
        _sync_folder(self.path.parent)
        return secret


def _write_synced(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
