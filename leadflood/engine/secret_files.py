"""Secret files: a random secret of this installation, made at the first start."""

import os
import secrets
from pathlib import Path

from leadflood.engine.synced_files import sync_folder, write_synced

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
            write_synced(aside, secret.encode("ascii"), 0o600)
            os.link(aside, self.path)
        except FileExistsError:
            return self.path.read_text("ascii").strip()
        finally:
            aside.unlink(missing_ok=True)
        sync_folder(self.path.parent)
        return secret
