"""Who may import whom: the contracts in pyproject."""

import subprocess
import sys
from pathlib import Path

from tests.support.tree import ROOT


def test_the_import_contracts_are_kept() -> None:
    command = Path(sys.executable).with_name("lint-imports")

    ended = subprocess.run(  # noqa: S603 - our own tool
        [command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert ended.returncode == 0, ended.stdout[-4_000:] + ended.stderr[-2_000:]
