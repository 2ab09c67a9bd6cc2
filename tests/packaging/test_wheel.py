import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 120
FIND = """
import json, leadflood
from leadflood.engine.package_files import package_folder
folders = [str(package_folder(name)) for name in ("migrations", "config")]
print(json.dumps([leadflood.__file__, *folders]))
"""
MIGRATE = """
import anyio, sys
from pathlib import Path
from leadflood.engine.clock import SystemClock
from leadflood.engine.db import migrations
from leadflood.engine.db.embedded import embedded_postgres
from leadflood.engine.db.pool import Settings

async def main():
    async with embedded_postgres(Path(sys.argv[1]), SystemClock(), durable=False) as server:
        print((await migrations.upgrade(Settings(url=server.url))).is_current)

anyio.run(main)
"""


@pytest.fixture(scope="module")
def outside() -> Iterator[Path]:
    """A folder outside the checkout that everyone may enter, as a server's user must."""
    folder = Path(subprocess.check_output(["/bin/mktemp", "-d"], text=True).strip())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def wheel(outside: Path) -> Path:
    """Build the wheel from a copy, so that the checkout stays as it is."""
    source = outside / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source)
    for name in ("leadflood", "migrations", "config"):
        shutil.copytree(
            ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "_shipped")
        )
    execute("-m", "build", "--wheel", "--no-isolation", "--outdir", str(outside), str(source))
    shutil.rmtree(source)
    return next(outside.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, outside: Path) -> Path:
    """Install it alone; what it needs comes from this interpreter."""
    target = outside / "site"
    execute("-m", "pip", "install", "--no-deps", "--no-index", "--target", str(target), str(wheel))
    return target


def execute(*arguments: str, installed: Path | None = None) -> str:
    """Run this interpreter, away from the checkout."""
    environment = dict(os.environ)  # noqa: TID251 -- a process needs the tests' own PATH
    if installed is not None:
        paths = [str(installed), sysconfig.get_paths()["purelib"]]
        environment["PYTHONPATH"] = os.pathsep.join(paths)
    done = subprocess.run(  # noqa: S603 -- this interpreter
        [sys.executable, *arguments],
        cwd=installed or ROOT.anchor,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_installed_wheel_finds_its_migrations_and_settings(installed: Path) -> None:
    package, *folders = json.loads(execute("-c", FIND, installed=installed))

    assert Path(package).is_relative_to(installed)
    assert folders == [
        str(installed / "leadflood/_shipped" / name) for name in ("migrations", "config")
    ]


def test_an_installed_wheel_has_every_migration_query_and_type_marker(installed: Path) -> None:
    def listed(folder: Path, *patterns: str) -> set[str]:
        return {
            str(file.relative_to(folder)) for pattern in patterns for file in folder.rglob(pattern)
        }

    shipped = installed / "leadflood/_shipped"
    assert listed(ROOT / "migrations", "*.py", "*.mako") == listed(
        shipped / "migrations", "*.py", "*.mako"
    )
    assert listed(ROOT / "config", "*.toml", "*.env") == listed(
        shipped / "config", "*.toml", "*.env"
    )
    assert listed(ROOT / "leadflood", "*.sql") == listed(installed / "leadflood", "*.sql")


def test_a_wheel_bears_the_version_that_the_product_prints(wheel: Path, installed: Path) -> None:
    printed = execute("-m", "leadflood", "--version", installed=installed).strip()

    assert wheel.name.split("-")[1] == str(Version(printed))


def test_an_installed_wheel_migrates_a_new_database(installed: Path, outside: Path) -> None:
    answer = execute("-c", MIGRATE, str(outside / "data"), installed=installed)

    assert answer.strip() == "True"


def test_a_checkout_finds_its_own_folders() -> None:
    package, *folders = json.loads(execute("-c", FIND))

    assert Path(package).parents[1] == ROOT
    assert folders == [str(ROOT / "migrations"), str(ROOT / "config")]
