"""All checks of the doctor, resource by resource."""

from leadflood.app import open_storage
from leadflood.cli.console import print_message
from leadflood.cli.doctor.check import DoctorCheck, failed, is_expected, passed
from leadflood.cli.doctor.database_checks import check_database
from leadflood.cli.doctor.settings_checks import (
    check_folder,
    check_http,
    check_open_files,
    check_providers,
    check_verifier,
    check_witness,
)
from leadflood.engine.actors.supervisor import first_cause
from leadflood.settings import Settings


async def check_everything(settings: Settings, *, online: bool) -> list[DoctorCheck]:
    """Check every resource; one that cannot be inspected is red and does not stop the rest."""
    checks = [passed("settings", "read, and every key is known"), await check_folder(settings)]
    checks += [await check_witness(settings), check_http(settings), check_open_files(settings)]
    checks += check_providers(settings)
    checks.append(check_verifier(settings))
    try:
        async with open_storage(settings, report=print_message, migrate=False) as storage:
            checks += [check async for check in check_database(storage, online=online)]
    except Exception as error:
        cause = first_cause(error)
        if not is_expected(cause):
            raise
        where = "the server DATABASE_URL names" if settings.database.url else "the embedded server"
        checks.append(
            failed(
                "postgres", f"{where} cannot be used: {_describe(cause)}", _database_fix(settings)
            )
        )
    return checks


def _describe(error: BaseException) -> str:
    return (str(error) or type(error).__name__)[:300]


def _database_fix(settings: Settings) -> str:
    if settings.database.url:
        return "check that the server runs, and host, port, user and password in DATABASE_URL"
    return f"look at {settings.data_folder()}/postgres*, or set LEADFLOOD_DATA to another folder"
