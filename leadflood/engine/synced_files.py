"""Synced files: what is written is on the disk before anybody relies on it."""

import os
from pathlib import Path


def write_synced(path: Path, content: bytes, mode: int) -> None:
    """Write a new file, onto the disk; `mode` says who may read it. Raises: FileExistsError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Bring the names of a folder's files onto the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
