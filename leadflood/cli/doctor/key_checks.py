"""Checks of the providers' keys."""

from uuid import UUID

from leadflood.app import Storage, open_node
from leadflood.cli.doctor.check import DoctorCheck, failed_by, is_expected, passed
from leadflood.contracts.ports.account import AccountReader
from leadflood.engine.actors.supervisor import first_cause
from leadflood.engine.errors import LeadfloodError

NO_RUN = UUID(int=0)
"""A node for this run only works on nothing at all."""


async def check_keys(storage: Storage) -> list[DoctorCheck]:
    """Ask each provider that can answer at no cost whether our key is good."""
    try:
        return await _ask_providers(storage)
    except Exception as error:
        cause = first_cause(error)
        if not is_expected(cause):
            raise
        return [failed_by("keys", cause)]


async def _ask_providers(storage: Storage) -> list[DoctorCheck]:
    async with open_node(storage, only_runs=(NO_RUN,)) as node:
        return [
            await _check_key(name, adapter)
            for name, adapter in node.life.adapters.items()
            if isinstance(adapter, AccountReader)
        ]


async def _check_key(name: str, adapter: AccountReader) -> DoctorCheck:
    try:
        await adapter.check_key()
    except LeadfloodError as error:
        return failed_by(f"key of {name}", error)
    return passed(f"key of {name}", "accepted")
