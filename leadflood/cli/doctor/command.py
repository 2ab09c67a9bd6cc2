"""`leadflood doctor`: the settings in force and every resource checked, a fix for each red."""

from typing import Annotated

import msgspec
import typer

from leadflood.cli.console import print_data, print_json, run_async
from leadflood.cli.database_command import AsJson, log_errors_only
from leadflood.cli.doctor.checks import Check, Light, check_everything, failed
from leadflood.engine.errors import Invalid
from leadflood.settings import list_settings, load_settings

_MARKS = {Light.GREEN: "ok  ", Light.YELLOW: "note", Light.RED: "RED "}


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """All settings by path, secrets masked, and all checks; `ok` when none is red."""

    ok: bool
    settings: dict[str, str]
    checks: list[Check]


def doctor(
    *,
    online: Annotated[
        bool, typer.Option("--online", help="Ask providers whether our keys are good (free).")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print the settings in force and check every resource. Exits with 1 when one is red."""
    log_errors_only()
    try:
        settings = load_settings()
    except Invalid as error:
        _tell(Diagnosis(ok=False, settings={}, checks=[failed("settings", error)]), as_json=as_json)
        raise typer.Exit(1) from error
    checks = run_async(lambda: check_everything(settings, online=online))
    diagnosis = Diagnosis(
        ok=all(check.light is not Light.RED for check in checks),
        settings=dict(list_settings(settings)),
        checks=checks,
    )
    _tell(diagnosis, as_json=as_json)
    raise typer.Exit(0 if diagnosis.ok else 1)


def _tell(diagnosis: Diagnosis, *, as_json: bool) -> None:
    if as_json:
        print_json(diagnosis)
        return
    for path, value in diagnosis.settings.items():
        print_data(f"{path} = {value}")
    print_data("")
    for check in diagnosis.checks:
        print_data(f"{_MARKS[check.light]}  {check.name}: {check.found}")
        if check.fix:
            print_data(f"        fix: {check.fix}")
