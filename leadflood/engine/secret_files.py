"""Secret files: a random secret of this installation, made at the first start."""

import os
import secrets
from pathlib import Path

SECRET_BYTES = 32


def read_or_create(path: Path) -> str:
    """Return the secret of a file, creating it with a random one; only its owner may read it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text("ascii").strip()
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        secret = secrets.token_hex(SECRET_BYTES)
        file.write(secret)
    return secret
