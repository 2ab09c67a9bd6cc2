"""`leadflood doctor`: the settings in force and every resource checked, a fix for each red."""

from typing import Annotated

import msgspec
import typer

from leadflood.cli.console import print_data, print_json, run_async
from leadflood.cli.database_command import AsJson, log_errors_only
from leadflood.cli.doctor.check import CheckStatus, DoctorCheck, failed_by
from leadflood.cli.doctor.checks import check_everything
from leadflood.engine.errors import Invalid
from leadflood.settings import list_settings, load_settings

_MARKS = {CheckStatus.GREEN: "ok  ", CheckStatus.YELLOW: "note", CheckStatus.RED: "RED "}


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """All settings by path, secrets masked, and all checks; `ok` when none is red."""

    ok: bool
    settings: dict[str, str]
    checks: list[DoctorCheck]


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
        diagnosis = Diagnosis(ok=False, settings={}, checks=[failed_by("settings", error)])
        _print(diagnosis, as_json=as_json)
        raise typer.Exit(1) from error
    checks = run_async(lambda: check_everything(settings, online=online))
    diagnosis = Diagnosis(
        ok=all(check.status is not CheckStatus.RED for check in checks),
        settings=dict(list_settings(settings)),
        checks=checks,
    )
    _print(diagnosis, as_json=as_json)
    raise typer.Exit(0 if diagnosis.ok else 1)


def _print(diagnosis: Diagnosis, *, as_json: bool) -> None:
    if as_json:
        print_json(diagnosis)
        return
    for path, value in diagnosis.settings.items():
        print_data(f"{path} = {value}")
    print_data("")
    for check in diagnosis.checks:
        print_data(f"{_MARKS[check.status]}  {check.name}: {check.finding}")
        if check.fix:
            print_data(f"        fix: {check.fix}")
