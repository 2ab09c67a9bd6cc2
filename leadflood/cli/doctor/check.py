"""A check of the doctor: green, yellow or red, the finding and its fix."""

from enum import StrEnum

import msgspec

from leadflood.engine.db.tx import sqlstate_of
from leadflood.engine.errors import Invalid, LeadfloodError


class CheckStatus(StrEnum):
    """Red keeps something from working; yellow is worth knowing."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"


class DoctorCheck(msgspec.Struct, frozen=True):
    """The state of a resource; `fix` is empty where nothing is to be done."""

    name: str
    status: CheckStatus = msgspec.field(name="light")
    finding: str = msgspec.field(name="found")
    fix: str = ""


def passed(name: str, finding: str) -> DoctorCheck:
    """Return a green check."""
    return DoctorCheck(name, CheckStatus.GREEN, finding)


def warning(name: str, finding: str, fix: str) -> DoctorCheck:
    """Return a yellow check."""
    return DoctorCheck(name, CheckStatus.YELLOW, finding, fix)


def failed(name: str, finding: str, fix: str) -> DoctorCheck:
    """Return a red check."""
    return DoctorCheck(name, CheckStatus.RED, finding, fix)


def failed_by(name: str, error: BaseException) -> DoctorCheck:
    """Return a red check for an error; our own errors say what to do."""
    if isinstance(error, Invalid) and error.fields:
        return failed(
            name,
            error.detail,
            "; ".join(f"{field.path}: {field.problem}" for field in error.fields),
        )
    if isinstance(error, LeadfloodError):
        return failed(name, f"{error.error_code}", error.detail)
    return failed(name, f"{type(error).__name__}: {error}"[:300], "read the error text")


def is_expected(error: BaseException) -> bool:
    """Whether an error comes from the environment: settings, disk, network, database."""
    is_ours = isinstance(error, LeadfloodError | OSError | TimeoutError | ValueError)
    return is_ours or sqlstate_of(error) is not None
