"""The result of a command that changes a switch."""

import msgspec

from leadflood.cli.console import print_data, print_json


class SwitchResult(msgspec.Struct, frozen=True, rename="camel"):
    """A switch after a command; `changed` False: it was so before."""

    name: str
    state: str
    changed: bool
    running: int | None = None


def print_switch(result: SwitchResult, *, as_json: bool) -> None:
    """Print the state of the switch."""
    if as_json:
        print_json(result)
        return
    print_data(f"{result.name} is {result.state}{'' if result.changed else ' (as before)'}")
