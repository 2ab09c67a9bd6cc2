"""`leadflood provider`: list providers; switch one off and on, reset its limits, for all nodes."""

from typing import Annotated

import typer

from leadflood.cli import command_audit
from leadflood.cli.console import print_data, print_json, print_table
from leadflood.cli.database_command import (
    AsJson,
    Reason,
    require_name,
    terminal_user,
    with_storage,
)
from leadflood.cli.switch_result import SwitchResult, print_switch
from leadflood.engine.ledger.rate_limits import reset_rate_limits
from leadflood.engine.queue import switches
from leadflood.providers import catalog
from leadflood.settings import PROVIDER_NAMES
from leadflood.wiring.storage import Storage

app = typer.Typer(no_args_is_help=True, help="List providers; switch one off, on, or reset it.")

ProviderName = Annotated[str, typer.Argument(metavar="NAME", help=", ".join(PROVIDER_NAMES))]


@app.command("list")
def list_providers(
    *,
    as_json: AsJson = False,
    markdown: Annotated[bool, typer.Option(help="Print the page docs/providers.md.")] = False,
) -> None:
    """List what each provider can do, allows and charges."""
    rows = catalog.feature_matrix()
    if as_json:
        print_json(rows)
    elif markdown:
        print_data(catalog.write_page().rstrip("\n"))
    else:
        print_table(
            ("provider", "does", "plan", "most credits"),
            [(row.name, ", ".join(row.does), row.plan, row.credits) for row in rows],
        )


@app.command()
def off(name: ProviderName, reason: Reason = "", *, as_json: AsJson = False) -> None:
    """Stop calling a provider, on all nodes."""
    require_name("NAME", name, PROVIDER_NAMES)
    with_storage(lambda storage: _off(storage, name, reason))
    print_switch(SwitchResult(f"provider:{name}", "off", changed=True), as_json=as_json)


@app.command()
def on(name: ProviderName, *, as_json: AsJson = False) -> None:
    """Call a provider again."""
    require_name("NAME", name, PROVIDER_NAMES)
    changed = with_storage(lambda storage: _on(storage, name))
    print_switch(SwitchResult(f"provider:{name}", "on", changed), as_json=as_json)


@app.command()
def reset(name: ProviderName, *, as_json: AsJson = False) -> None:
    """Forget what is leased and learned of a provider's limits: its calls begin anew."""
    require_name("NAME", name, PROVIDER_NAMES)
    count = with_storage(lambda storage: _reset(storage, name))
    if as_json:
        print_json({"provider": name, "limits": count})
        return
    print_data(f"{count} limits of {name} begin anew")


async def _reset(storage: Storage, name: str) -> int:
    async with storage.db.transaction() as tx:
        count = await reset_rate_limits(tx, name)
        await command_audit.record(storage, tx, "provider.limits_reset", name)
    return count


async def _off(storage: Storage, name: str, reason: str) -> None:
    async with storage.db.transaction() as tx:
        await switches.switch_provider_off(tx, storage.clock, name, terminal_user(), reason)
        await command_audit.record(storage, tx, "provider.stopped", name, reason=reason)


async def _on(storage: Storage, name: str) -> bool:
    async with storage.db.transaction() as tx:
        if has_changed := await switches.switch_provider_on(tx, name):
            await command_audit.record(storage, tx, "provider.started", name)
    return has_changed
