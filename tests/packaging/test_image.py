import json
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def stages() -> list[list[tuple[str, str]]]:
    """Read the Dockerfile: its stages, each a list of (instruction, argument)."""
    text = (ROOT / "Dockerfile").read_text()
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    found: list[list[tuple[str, str]]] = []
    for line in text.splitlines():
        word, _, argument = line.strip().partition(" ")
        if word == "FROM":
            found.append([])
        if word:
            found[-1].append((word, " ".join(argument.split())))
    return found


def last(stage: list[tuple[str, str]], word: str) -> str:
    return [argument for given, argument in stage if given == word][-1]


def test_the_image_is_built_in_stages_and_keeps_only_what_runs(
    stages: list[list[tuple[str, str]]],
) -> None:
    assert len(stages) > 1
    copies = [argument for word, argument in stages[-1] if word == "COPY"]
    assert copies
    assert all(argument.startswith("--from=build") for argument in copies)
    assert not [word for word, _ in stages[-1] if word == "ADD"]


def test_the_image_does_not_run_as_root(stages: list[list[tuple[str, str]]]) -> None:
    words = [word for word, _ in stages[-1]]
    user = last(stages[-1], "USER")

    assert user not in {"root", "0"}
    assert any("useradd --uid 10001 --gid leadflood" in argument for _, argument in stages[-1])
    assert "RUN" not in words[words.index("USER") :]


def test_the_entry_point_is_an_installed_command(stages: list[list[tuple[str, str]]]) -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]

    assert json.loads(last(stages[-1], "ENTRYPOINT"))[0] in scripts
    assert json.loads(last(stages[-1], "CMD")) == ["serve"]


def test_the_image_has_one_volume_where_the_data_lies(
    stages: list[list[tuple[str, str]]],
) -> None:
    volumes = [argument for word, argument in stages[-1] if word == "VOLUME"]

    assert [json.loads(argument) for argument in volumes] == [["/data"]]
    assert "LEADFLOOD_DATA=/data" in last(stages[-1], "ENV")
    assert last(stages[-1], "WORKDIR") == "/data"


def test_the_health_check_asks_the_health_route(stages: list[list[tuple[str, str]]]) -> None:
    check = last(stages[-1], "HEALTHCHECK")

    assert "/health" in check
    command = json.loads(check.partition(" CMD ")[2])
    compile(command[-1], "health check", "exec")


def test_every_copied_path_exists_and_reaches_the_build(
    stages: list[list[tuple[str, str]]],
) -> None:
    allowed = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copied = [argument.split()[:-1] for word, argument in stages[0] if word == "COPY"]

    for name in (name for names in copied for name in names):
        assert (ROOT / name).exists()
        assert name in allowed
