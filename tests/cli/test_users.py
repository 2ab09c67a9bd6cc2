"""People from the terminal."""

from tests.support.cli import Cli


def test_the_claim_link_is_printed_while_nobody_has_claimed(cli: Cli) -> None:
    first, second = cli("claim"), cli("claim", "--json")

    assert (first.code, second.code) == (0, 0)
    assert "/claim/" in first.out
    assert second.json["link"] != first.out.strip()


def test_a_link_names_an_address_that_a_browser_can_open(cli: Cli) -> None:
    everywhere = cli("claim", LEADFLOOD_HTTP__HOST="::", LEADFLOOD_HTTP__PORT="81")
    public = cli("claim", LEADFLOOD_HTTP__PUBLIC_URL="https://leads.example/")

    assert everywhere.out.startswith("http://localhost:81/claim/")
    assert public.out.startswith("https://leads.example/claim/")


def test_users_are_invited_listed_and_get_a_new_link(cli: Cli) -> None:
    invited = cli("users", "invite", "Ann@Team.example", "--role", "ADMIN", "--json").json
    again = cli("users", "invite", "ann@team.example")
    listed = cli("users", "list", "--role", "ADMIN")
    back = cli("users", "reset-password", "ann@team.example")
    unknown = cli("users", "reset-password", "nobody@team.example")

    assert invited["user"]["email"] == "ann@team.example"
    assert "/register/" in invited["link"]
    assert again.code == 1
    assert "user.email.taken" in again.err
    assert "ann@team.example" in listed.out
    assert "/register/" in back.out
    assert back.out.strip() != invited["link"]
    assert unknown.code == 1


def test_the_signing_key_is_rotated(cli: Cli) -> None:
    entry = cli("users", "rotate-signing-key", "--json").json["kid"]
    two = cli("users", "rotate-signing-key", "--json").json["kid"]

    assert entry != two


def test_a_name_does_not_steer_the_terminal(cli: Cli) -> None:
    cli("users", "invite", "eve@team.example", "--name", "Eve\x1b[2J\x1b]0;mine\x07\nroot")

    listed = cli("users", "list")

    assert "Eve\ufffd[2J\ufffd]0;mine\ufffd root" in listed.out
    assert "\x1b" not in listed.out
