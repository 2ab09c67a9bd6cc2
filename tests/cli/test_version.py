import leadflood
import pytest
from leadflood.api.routes import describe_api
from tests.support.cli import Cli


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Commands that need no database."""
    return Cli({}, monkeypatch, capsys)


def test_the_command_and_the_option_print_the_same_version(cli: Cli) -> None:
    by_command = cli("version")
    by_option = cli("--version")

    assert by_command.out == by_option.out == f"{leadflood.__version__}\n"
    assert (by_command.code, by_option.code) == (0, 0)


def test_the_version_is_printed_as_json(cli: Cli) -> None:
    assert cli("version", "--json").json == {"version": leadflood.__version__}


def test_the_openapi_document_has_the_same_version() -> None:
    assert describe_api()["info"]["version"] == leadflood.__version__
