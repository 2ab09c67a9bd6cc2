"""Every dependency is bounded on both sides, and `docs/dependencies.md` says why it is there."""

import re
import tomllib
from collections import defaultdict

import pytest
from packaging.requirements import Requirement
from tests.support.tree import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT = PYPROJECT["project"]
ROW = re.compile(r"^\| ([a-z][\w.-]*) \| (>=[^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


def _requirements() -> dict[str, set[str]]:
    """Return the bounds of each package that pyproject.toml names."""
    extras = [text for texts in PROJECT["optional-dependencies"].values() for text in texts]
    requirements = [*PROJECT["dependencies"], *extras, *PYPROJECT["build-system"]["requires"]]
    bounds: defaultdict[str, set[str]] = defaultdict(set)
    for requirement in map(Requirement, requirements):
        bounds[requirement.name].add(str(requirement.specifier))
    return bounds


REQUIREMENTS = _requirements()
ROWS = ROW.findall((ROOT / "docs" / "dependencies.md").read_text("utf-8"))


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_a_dependency_has_one_lower_and_one_upper_bound(name: str) -> None:
    (bounds,) = REQUIREMENTS[name]

    assert sorted(re.findall(r"[<>=!~]+", bounds)) == ["<", ">="]


def test_the_page_explains_each_dependency_once() -> None:
    assert sorted(name for name, *_ in ROWS) == sorted(REQUIREMENTS)


def test_the_page_names_the_bounds_in_force() -> None:
    written = {name: set(bounds.strip().split(",")) for name, bounds, *_ in ROWS}

    assert written == {name: set(min(bounds).split(",")) for name, bounds in REQUIREMENTS.items()}


def test_what_the_extras_name_is_tested_too() -> None:
    extras = PROJECT["optional-dependencies"]

    assert set(extras["otel"]) | set(extras["sentry"]) <= set(extras["test"])
