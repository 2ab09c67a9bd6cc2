"""Consent in files, as tests ask for it."""

from leadflood.contracts.values import Channel
from leadflood.domain.imports.schemas.rows import BadRow, ImportRow, ReadCsv


def refusing_addresses(file: ReadCsv) -> set[str]:
    """Return the e-mail addresses of the rows that say no: a file suppresses them."""
    rows: list[ImportRow | BadRow] = [*file.rows, *file.bad]
    return {
        address
        for row in rows
        if any(not statement.agrees for statement in row.consent)
        for channel, address in row.addresses
        if channel is Channel.EMAIL
    }
