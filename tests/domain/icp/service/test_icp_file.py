from pathlib import Path

import pytest
from leadflood.domain.icp.schemas import Autopilot, Operator, RuleField, RuleKind, people_query
from leadflood.domain.icp.service.icp_file import read_icp_file
from leadflood.engine.errors import Invalid
from leadflood.engine.package_files import package_folder


def test_the_example_is_read_with_its_target() -> None:
    request = read_icp_file(package_folder("config") / "icp.example.toml")

    query = people_query(request)
    assert request.autopilot is Autopilot.OFF
    assert request.rules[0].kind is RuleKind.HARD_FILTER
    assert query.countries == ("DE", "NL", "GB", "SE")
    assert query.company_sizes == ((50, 1000),)


def test_the_example_names_every_field_and_operator() -> None:
    text = (package_folder("config") / "icp.example.toml").read_text()

    words = set(text.replace(",", " ").split())
    assert {field.value for field in RuleField} <= words
    assert {operator.value for operator in Operator} <= words


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"\xff\xfe", "save it as UTF-8"),
        (b"name = ", "this is not TOML"),
        (b"a" * 1_000_001, "larger"),
    ],
)
def test_the_error_of_an_unreadable_file_names_the_cause(
    tmp_path: Path, raw: bytes, reason: str
) -> None:
    path = tmp_path / "icp.toml"
    path.write_bytes(raw)

    with pytest.raises(Invalid, match=reason):
        read_icp_file(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"nowhere\.toml"):
        read_icp_file(tmp_path / "nowhere.toml")
