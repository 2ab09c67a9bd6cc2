"""Consent check: a file is imported once all that it says of consent is read, or waved through."""

from collections.abc import Sequence

from leadflood.engine.errors import FieldProblem, Invalid

_FEW = 10
UNREAD = (
    "speaks of consent and is not read: map it to opt_out, opt_in or contact_status, or name it in"
    " ignoreConsentColumns"
)


def warn_of_unread(names: Sequence[str]) -> tuple[str, ...]:
    """Return a warning of each column that speaks of consent and is not read."""
    return tuple(f"column {name!r} {UNREAD}" for name in names)


def warn_of_many(opted_out_count: int, row_count: int) -> tuple[str, ...]:
    """Return a warning where most rows say no: an undo does not take that back."""
    if row_count < _FEW or 2 * opted_out_count <= row_count:
        return ()
    warning = (
        f"{opted_out_count:,} of {row_count:,} rows say no, and whom they name will be suppressed,"
        " also after an undo: look at the columns that say it (noOptIn, for those of opt-ins)"
    )
    return (warning,)


def require_consent_read(names: Sequence[str]) -> None:
    """Refuse to go on while columns that speak of consent are not read. Raises: Invalid."""
    if names:
        raise Invalid.of(
            [FieldProblem(f"columns.{name}", UNREAD) for name in names],
            prefix="nobody who said no may be lost",
            most_named=10,
            code="leads.import.consent_unread",
        )
