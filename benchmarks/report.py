"""The frame of a benchmark: its options, one server, its figures as tables and as JSON."""

import argparse
import json
import os
import platform
import statistics
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import perf_counter
from typing import Any

from benchmarks.world import Server, open_server, print_table

Figures = dict[str, Any]
"""What a benchmark prints as JSON; `void` lists the measurements that do not count."""


def make_parser(
    module: str, description: str | None, parts: Sequence[str]
) -> argparse.ArgumentParser:
    """Return a parser with the options that every benchmark has."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    parser.add_argument("--only", default=",".join(parts), help=", ".join(parts))
    return parser


def parse_options(parser: argparse.ArgumentParser, parts: Sequence[str]) -> argparse.Namespace:
    """Parse the command line; `only` is the set of parts to measure."""
    options = parser.parse_args()
    options.only = set(options.only.split(","))
    if unknown := options.only - set(parts):
        parser.error(f"--only: no part named {', '.join(sorted(unknown))}")
    return options


async def run_benchmark(
    measure: Callable[[Server], Awaitable[Figures]],
    print_figures: Callable[[Figures], None],
    *,
    as_json: bool,
) -> int:
    """Measure on a server of its own and print the figures; return the exit code."""
    started_at, load = perf_counter(), os.getloadavg()[0]
    async with open_server() as server:
        settings = await server.settings()
        print_table("Postgres", settings)
        figures = await measure(server)
    figures["settings"] = settings
    figures["machine"] = {
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "load_before": round(load, 2),
    }
    figures["minutes"] = round((perf_counter() - started_at) / 60, 1)
    print_figures(figures)
    if as_json:
        sys.stdout.write(json.dumps(figures, indent=2) + "\n")
    return 1 if figures["void"] else 0


def median(values: Sequence[float], digits: int = 1) -> float | None:
    """Return the median; None: there is no value."""
    return round(statistics.median(values), digits) if values else None


def ratios(pairs: Mapping[str, tuple[float | None, float | None]]) -> dict[str, float]:
    """Return the quotient of each pair of which both were measured."""
    return {name: round(a / b, 3) for name, (a, b) in pairs.items() if a and b}


def format_rate(value: float | None) -> str:
    """Return a rate for a table."""
    return "-" if value is None else f"{value:,.0f}"
