"""`leadflood claim`: the one-time link by which the first administrator comes in."""

from leadflood.app import Storage
from leadflood.cli.console import print_data, print_json, say
from leadflood.cli.database_command import AsJson, with_storage
from leadflood.domain.auth.schemas import OneTimeLink
from leadflood.engine.errors import Conflict
from leadflood.settings import Settings

EVERYWHERE = {"", "0.0.0.0", "::"}  # noqa: S104 - where nobody can be sent to


def claim(*, as_json: AsJson = False) -> None:
    """Print a fresh claim link while nobody has claimed; the former one is void."""

    async def make(storage: Storage) -> tuple[OneTimeLink, str]:
        await storage.accounts.start()
        link = await storage.accounts.use.registration.make_claim_link()
        if link is None:
            raise Conflict(
                "somebody has claimed this installation already; `leadflood users list` shows who,"
                " `leadflood users reset-password EMAIL` prints a way back in",
                code="auth.claim.done",
            )
        return link, address_of(storage.settings)

    link, address = with_storage(make)
    if as_json:
        print_json({"link": address + link.path, "expiresAt": link.expires_at})
        return
    print_data(address + link.path)
    say(f"open it and set your password; it works once, until {link.expires_at:%Y-%m-%d %H:%M} UTC")


async def show_claim_link(storage: Storage, address: str) -> None:
    """Say where to claim, when nobody has: at each start a fresh link."""
    link = await storage.accounts.use.registration.make_claim_link()
    if link is not None:
        port = int(address.rpartition(":")[2])
        base = address_of(storage.settings, port)
        say("there is no user yet: open this link once to become the administrator (24 h):")
        say(f"  {base}{link.path}")


def address_of(settings: Settings, port: int | None = None) -> str:
    """Tell how the outside reaches us, as far as the settings know; `port` where it is known."""
    http = settings.http
    host = "localhost" if http.host in EVERYWHERE else http.host
    host = f"[{host}]" if ":" in host else host
    return http.public_url.rstrip("/") or f"http://{host}:{http.port if port is None else port}"
