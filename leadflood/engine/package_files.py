"""Package files: the folders that travel beside the code, `migrations` and `config`."""

from pathlib import Path

from leadflood.engine.errors import NotFound

PACKAGE_FOLDER = Path(__file__).parents[1]


def package_folder(name: str) -> Path:
    """Return a shipped folder: inside the wheel (`_shipped/<name>`), else beside the package.

    Raises: NotFound when neither is there.
    """
    for folder in (PACKAGE_FOLDER / "_shipped" / name, PACKAGE_FOLDER.parent / name):
        if folder.is_dir():
            return folder
    raise NotFound(
        f"the folder {name!r} that belongs to leadflood is missing beside {PACKAGE_FOLDER}:"
        " install leadflood again, or run it from a whole clone",
        code="engine.not_shipped",
    )
