"""`leadflood claim`: the one-time link for the first administrator."""

from leadflood.cli.console import format_money, format_time, print_data, print_json, print_message
from leadflood.cli.database_command import AsJson, with_storage
from leadflood.domain.auth.schemas.links import OneTimeLink
from leadflood.engine.errors import Conflict
from leadflood.settings import BudgetSettings, Settings
from leadflood.wiring.storage import Storage

WILDCARD_HOSTS = {"", "0.0.0.0", "::"}  # noqa: S104 - no address that a browser can open


def claim(*, as_json: AsJson = False) -> None:
    """Print a new claim link while there is no administrator; the former link is void."""

    async def make(storage: Storage) -> tuple[OneTimeLink, str]:
        await storage.accounts.start()
        link = await storage.accounts.use.registration.make_claim_link()
        if link is None:
            raise Conflict(
                "somebody has claimed this installation already; `leadflood users list` shows who,"
                " `leadflood users reset-password EMAIL` prints a way back in",
                code="auth.claim.done",
            )
        return link, base_url(storage.settings)

    link, address = with_storage(make)
    if as_json:
        print_json({"link": address + link.path, "expiresAt": link.expires_at})
        return
    print_data(address + link.path)
    print_message(
        f"open it and set your password; it works once, until {format_time(link.expires_at)} UTC;"
        " the link before it is void"
    )


async def show_claim_link(storage: Storage, address: str) -> None:
    """Print a new claim link at each start until somebody has claimed."""
    link = await storage.accounts.use.registration.make_claim_link()
    if link is not None:
        port = int(address.rpartition(":")[2])
        base = base_url(storage.settings, port)
        print_message(
            "there is no user yet: open this link once to become the administrator (24 h):"
        )
        print_message(f"  {base}{link.path}")
        print_message(describe_caps(storage.settings.budget))


def describe_caps(budget: BudgetSettings) -> str:
    """Say what may be spent before anybody has set a cap."""
    caps = {
        "a day in all": budget.day_micros,
        "a day for each user": budget.user_day_micros,
        "a run": budget.run_micros,
    }
    amounts = [
        f"{'no cap' if cap is None else format_money(cap, 2)} {words}"
        for words, cap in caps.items()
    ]
    return (
        f"at most is spent, in {budget.currency}: {', '.join(amounts)} ([budget] of the settings)"
    )


def base_url(settings: Settings, port: int | None = None) -> str:
    """Return our URL for the outside, as far as the settings know it."""
    http = settings.http
    host = "localhost" if http.host in WILDCARD_HOSTS else http.host
    host = f"[{host}]" if ":" in host else host
    return http.public_url.rstrip("/") or f"http://{host}:{http.port if port is None else port}"
