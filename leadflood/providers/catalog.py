"""Every provider, one line each; doctor, conformance tests and README read this page."""

from collections.abc import Callable
from typing import Any

import msgspec

from leadflood.contracts.provider_spec import ProviderSettings, ProviderSpec
from leadflood.engine.clock import Clock
from leadflood.engine.net.calls import Gate, Http
from leadflood.providers import apollo, hunter, openai, pdl, smtp, trengo

Factory = Callable[[ProviderSettings, Gate, Http, Clock], Any]


class Entry(msgspec.Struct, frozen=True):
    """A provider's card and how to build its adapter."""

    spec: ProviderSpec
    build: Factory


CATALOG: dict[str, Entry] = {
    entry.spec.name: entry
    for entry in (
        Entry(apollo.SPEC, apollo.Apollo),
        Entry(hunter.SPEC, hunter.Hunter),
        Entry(pdl.SPEC, pdl.Pdl),
        Entry(openai.SPEC, openai.OpenAi),
        Entry(trengo.SPEC, trengo.Trengo),
        Entry(smtp.SPEC, smtp.Smtp),
    )
}

# Which method shows that an adapter implements a port (`contracts/ports`).
PORTS: dict[str, str] = {
    "find people": "find_people",
    "enrich": "enrich",
    "verify e-mail": "verify",
    "write": "write_draft",
    "send": "send",
    "usage": "read_usage",
}


def feature_matrix() -> str:
    """Draw the table of providers and what they can do, in Markdown, for README."""
    head = ["provider", *PORTS, "plan", "limits", "most credits", "read"]
    rows = [[name, *_row(entry)] for name, entry in CATALOG.items()]
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


async def close_all(adapters: list[Any]) -> None:
    """Close what adapters hold open (SMTP lines, the openai package's connections)."""
    for adapter in adapters:
        if hasattr(adapter, "aclose"):
            await adapter.aclose()


def _row(entry: Entry) -> list[str]:
    spec = entry.spec
    ports = ["yes" if hasattr(entry.build, method) else "" for method in PORTS.values()]
    limits = "; ".join(
        f"{name} " + ", ".join(f"{each.calls}/{each.seconds:g} s" for each in windows)
        for name, windows in spec.limits.items()
    )
    prices = ", ".join(f"{name} {most}" for name, most in spec.credits.items() if most)
    return [*ports, spec.plan, limits, prices, f"[{spec.read_on}]({spec.docs_url})"]
