"""How many leads a second go through the whole pipeline, and where the time goes.

    python -m benchmarks.pipeline [--json] [--leads 20000] [--warmup 2000]
                                  [--http-leads 2000] [--only memory,http]

memory   providers in the process, behind the real gate, answering after one real millisecond; two
         are asked for each lead; a quarter of the leads is HIGH, written to and sent on autopilot
http     the same pipeline with the real adapters and the sandbox as a process of its own

Leads a second counts leads in their final state in the database.
"""

import argparse
import sys
from collections.abc import Mapping
from typing import Any

import uvloop

from benchmarks.report import Figures, format_rate, make_parser, parse_options, run_benchmark
from benchmarks.world import (
    Server,
    SubjectFailed,
    print_message,
    print_table,
    python,
    run_subject,
)

SUBJECT = "benchmarks.leads_subject"
KINDS = ("memory", "http")
PAGE = 100


def parse() -> argparse.Namespace:
    parser = make_parser("benchmarks.pipeline", __doc__, KINDS)
    for option, default in (("leads", 20_000), ("warmup", 2_000), ("http-leads", 2_000)):
        parser.add_argument(f"--{option}", type=_whole_pages, default=default)
    return parse_options(parser, KINDS)


def _whole_pages(text: str) -> int:
    """Return the number rounded down to whole pages of leads, at least one."""
    return max(PAGE, int(text) // PAGE * PAGE)


async def measure_kind(server: Server, kind: str, leads: int, warmup: int) -> dict[str, Any]:
    """Measure one kind in a process of its own, on a fresh database."""
    await server.make_fresh()
    spec = {"url": server.url, "kind": kind, "leads": leads, "warmup": warmup}
    try:
        result = await run_subject(python(SUBJECT), spec)
    except (SubjectFailed, TimeoutError) as error:
        result = {"faults": [str(error) or "it did not end in time"]}
    if result["faults"]:
        print_message(f"[red]{kind}: void: {'; '.join(result['faults'])}")
    if "stages" in result:
        print_kind(kind, result)
    return result


def print_kind(kind: str, result: dict[str, Any]) -> None:
    """Print one kind."""
    print_message(
        f"{kind}: {result['per_s']:,.0f} leads/s; {result['final']:,} final in "
        f"{result['seconds']:.1f} s, {result['cpu_seconds']:.1f} s of them on the processor; "
        f"{result['high']:,} HIGH, {result['accepted']:,} sent; each lead has at least "
        f"{result['providers']} providers and {result['provenance']} values"
    )
    print_table(f"{kind}: rows", result["rows"], "{:,}".format)
    for name, figures in result["stages"].items():
        print_table(f"{kind}: {name}", figures)


async def measure_all(server: Server, options: argparse.Namespace) -> Figures:
    """Measure each kind and return the figures."""
    results: dict[str, dict[str, Any]] = {}
    if "memory" in options.only:
        results["memory"] = await measure_kind(server, "memory", options.leads, options.warmup)
    if "http" in options.only:
        warmup = _whole_pages(str(options.http_leads // 10))
        results["http"] = await measure_kind(server, "http", options.http_leads, warmup)
    return {
        "leads_per_s": {kind: _rate_of(results.get(kind)) for kind in KINDS},
        "stages": {kind: result.get("stages") for kind, result in results.items()},
        "rows": {kind: result.get("rows") for kind, result in results.items()},
        "void": [
            f"{kind}: {fault}" for kind, result in results.items() for fault in result["faults"]
        ],
    }


def _rate_of(result: Mapping[str, Any] | None) -> float | None:
    """Return the leads a second; None: not measured, or void."""
    return round(result["per_s"], 1) if result and not result["faults"] else None


async def main(options: argparse.Namespace) -> int:
    return await run_benchmark(
        lambda server: measure_all(server, options),
        lambda figures: print_table("leads a second", figures["leads_per_s"], format_rate),
        as_json=options.json,
    )


if __name__ == "__main__":
    sys.exit(uvloop.run(main(parse())))
