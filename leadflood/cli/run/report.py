"""Report at the end of `leadflood run`."""

from uuid import UUID

import msgspec

from leadflood.cli.console import format_money, print_message


class RunSummary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The result of a run; `bad_output` None: every row could be used."""

    run_id: UUID
    output: str
    bad_output: str | None
    rows: int
    bad_rows: int
    leads: int
    scored: int
    high: int
    medium: int
    low: int
    failed: int
    unfinished: int
    spent_micros: int
    seconds: float
    handed_over: bool


def print_report(report: RunSummary, currency: str) -> None:
    """Print the counts, the cost, and where the output is."""
    print_message(
        f"done:    {report.rows} rows, {report.leads} leads: {report.high} HIGH, "
        f"{report.medium} MEDIUM, {report.low} LOW, {report.failed} failed; "
        f"{format_money(report.spent_micros, 2)} {currency} in {report.seconds:.1f} s"
    )
    print_message(f"output:  {report.output}")
    if report.unfinished:
        print_message(f"         {report.unfinished} leads are not finished: run the command again")
