from pathlib import Path

import pytest
from leadflood.contracts import word_files
from leadflood.contracts.word_files import read_lines, read_tables


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(word_files, "package_folder", lambda name: tmp_path / name)
    folder = tmp_path / "config" / "words"
    folder.mkdir(parents=True)
    return folder


def test_a_list_has_no_comments_and_no_empty_lines(words: Path) -> None:
    (words / "hosts.txt").write_text("# hosts\n\nexample.com  # a shop\n münchen.de\n", "utf-8")

    assert read_lines("hosts.txt") == ("example.com", "münchen.de")


def test_tables_are_those_of_the_file(words: Path) -> None:
    (words / "columns.toml").write_text('[email]\nde = ["E-Mail"]\n', "utf-8")

    assert read_tables("columns.toml") == {"email": {"de": ["E-Mail"]}}
