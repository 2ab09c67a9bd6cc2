"""How many leads a second go through the whole pipeline, and where the time goes.

    python -m benchmarks.pipeline [--json] [--leads 20000] [--warmup 2000]
                                  [--http-leads 2000] [--only memory,http]

memory   providers in the process, behind the real gate, answering after one real millisecond; two
         are asked for each lead; a quarter of the leads is HIGH, written to and sent on autopilot
http     the same pipeline with the real adapters and the sandbox as a process of its own

Leads a second counts leads in their final state in the database.
"""

import argparse
import json
import os
import sys
from typing import Any

import uvloop

from benchmarks.world import (
    Broken,
    Server,
    measure,
    open_server,
    print_table,
    python,
    say,
)

SUBJECT = "benchmarks.leads_subject"
KINDS = ("memory", "http")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.pipeline",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    parser.add_argument("--leads", type=int, default=20_000)
    parser.add_argument("--warmup", type=int, default=2_000)
    parser.add_argument("--http-leads", type=int, default=2_000)
    parser.add_argument("--only", default=",".join(KINDS), help=", ".join(KINDS))
    asked = parser.parse_args()
    asked.only = asked.only.split(",")
    if unknown := set(asked.only) - set(KINDS):
        parser.error(f"--only: no kind named {', '.join(sorted(unknown))}")
    for name in ("leads", "warmup", "http_leads"):
        setattr(asked, name, max(100, getattr(asked, name) // 100 * 100))
    return asked


async def take(server: Server, kind: str, leads: int, warmup: int) -> dict[str, Any]:
    """Measure one kind in a process of its own, on a fresh database."""
    await server.make_fresh()
    spec = {"url": server.url, "kind": kind, "leads": leads, "warmup": warmup}
    try:
        found = await measure(python(SUBJECT), spec)
    except (Broken, TimeoutError) as error:
        found = {"faults": [str(error) or "it did not end in time"]}
    if found["faults"]:
        say(f"[red]{kind}: void: {'; '.join(found['faults'])}")
    if "stages" in found:
        show(kind, found)
    return found


def show(kind: str, found: dict[str, Any]) -> None:
    """Tell a person."""
    say(
        f"{kind}: {found['per_s']:,.0f} leads/s; {found['final']:,} final in "
        f"{found['seconds']:.1f} s, {found['cpu_seconds']:.1f} s of them on the processor; "
        f"{found['high']:,} HIGH, {found['accepted']:,} sent; each lead has at least "
        f"{found['providers']} providers and {found['provenance']} values"
    )
    print_table(f"{kind}: rows", found["rows"], "{:,}".format)
    for name, told in found["stages"].items():
        print_table(f"{kind}: {name}", told)


async def main(asked: argparse.Namespace) -> int:
    load = os.getloadavg()[0]
    found: dict[str, dict[str, Any]] = {}
    async with open_server() as server:
        settings = await server.settings()
        print_table("Postgres", settings)
        if "memory" in asked.only:
            found["memory"] = await take(server, "memory", asked.leads, asked.warmup)
        if "http" in asked.only:
            warmup = max(100, asked.http_leads // 1000 * 100)
            found["http"] = await take(server, "http", asked.http_leads, warmup)
    void = [f"{kind}: {fault}" for kind, told in found.items() for fault in told["faults"]]
    if asked.json:
        told = {
            "leads_per_s": {
                kind: round(found[kind]["per_s"], 1)
                if kind in found and not found[kind]["faults"]
                else None
                for kind in KINDS
            },
            "stages": {kind: one.get("stages") for kind, one in found.items()},
            "rows": {kind: one.get("rows") for kind, one in found.items()},
            "settings": settings,
            "load_before": round(load, 2),
            "void": void,
        }
        sys.stdout.write(json.dumps(told, indent=2) + "\n")
    return 1 if void else 0


if __name__ == "__main__":
    sys.exit(uvloop.run(main(parse())))
