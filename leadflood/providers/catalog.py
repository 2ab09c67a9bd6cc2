"""The catalog: every provider, one line each; everything else that knows providers reads it."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from leadflood.contracts.parts import Ports
from leadflood.contracts.ports.account import AccountReader
from leadflood.contracts.ports.email import EmailVerifier
from leadflood.contracts.ports.people import PeopleSource, PersonEnricher
from leadflood.contracts.ports.sender import Sender
from leadflood.contracts.ports.text import TextWriter
from leadflood.contracts.provider_spec import CURRENCY, ProviderSettings, ProviderSpec
from leadflood.contracts.values import Channel
from leadflood.engine.clock import Clock
from leadflood.engine.net.calls import Gate, Http
from leadflood.providers import apollo, hunter, openai, pdl, smtp, trengo

Factory = Callable[[ProviderSettings, Gate, Http, Clock], Any]


class Entry(msgspec.Struct, frozen=True):
    """A provider's card and how to build its adapter.

    `list_missing` names the settings that it needs beside the card's secrets.
    """

    spec: ProviderSpec
    build: Factory
    list_missing: Callable[[ProviderSettings], Sequence[str]] = lambda _settings: ()


CATALOG: dict[str, Entry] = {
    entry.spec.name: entry
    for entry in (
        Entry(apollo.SPEC, apollo.Apollo),
        Entry(hunter.SPEC, hunter.Hunter),
        Entry(pdl.SPEC, pdl.Pdl),
        Entry(openai.SPEC, openai.OpenAi),
        Entry(trengo.SPEC, trengo.Trengo),
        Entry(smtp.SPEC, smtp.Smtp, smtp.list_missing),
    )
}
"""In the order in which they are asked where nothing else is set."""

PORTS: dict[type, str] = {
    PeopleSource: "find people",
    PersonEnricher: "enrich",
    EmailVerifier: "verify e-mail",
    TextWriter: "write",
    Sender: "send",
    AccountReader: "usage",
}


def list_implementing(port: type) -> tuple[str, ...]:
    """List the providers that implement a port."""
    return tuple(name for name, entry in CATALOG.items() if port in entry.spec.implements)


def list_senders(channel: Channel) -> tuple[str, ...]:
    """List the providers that send on a channel."""
    return tuple(
        name
        for name in list_implementing(Sender)
        if getattr(CATALOG[name].build, "channel", None) is channel
    )


def list_missing_senders(settings: Mapping[str, ProviderSettings]) -> dict[Channel, str]:
    """Return the setting to make for each channel that no configured provider sends on."""
    senders = {channel: list_senders(channel) for channel in Channel}
    return {
        channel: f"providers.{names[0]}.{list_missing(names[0], settings)[0]}"
        for channel, names in senders.items()
        if names and not any(is_configured(name, settings) for name in names)
    }


def list_missing(name: str, settings: Mapping[str, ProviderSettings]) -> Sequence[str]:
    """List the keys of a provider's section without which it is not asked."""
    provider, entry = settings[name], CATALOG[name]
    switch = () if provider.enabled else ("enabled",)
    secrets = tuple(key for key in entry.spec.secrets if not getattr(provider, key, ""))
    return (*switch, *secrets, *entry.list_missing(provider))


def credits_of(spec: ProviderSpec, port: type) -> Decimal:
    """Return the most that one question through a port costs; 0 where it is not implemented."""
    return spec.credits[spec.implements[port]] if port in spec.implements else Decimal(0)


def is_paid_per_lead(spec: ProviderSpec) -> bool:
    """Whether enriching a lead there takes credits."""
    return any(credits_of(spec, port) > 0 for port in (PersonEnricher, EmailVerifier))


def is_configured(name: str, settings: Mapping[str, ProviderSettings]) -> bool:
    """Whether a provider is enabled and has its secrets."""
    return not list_missing(name, settings)


def list_unpriced(settings: Mapping[str, ProviderSettings]) -> list[str]:
    """List the configured providers that take credits and have no price: no budget holds them."""
    return [
        name
        for name, entry in CATALOG.items()
        if is_configured(name, settings)
        and is_paid_per_lead(entry.spec)
        and not settings[name].credit_price_micros
    ]


def build_adapters(
    settings: Mapping[str, ProviderSettings], gate: Gate, http: Http, clock: Clock, currency: str
) -> dict[str, Any]:
    """Build the providers that are configured; `currency`: the one in which sums are numbers."""
    return {
        name: entry.build(_with_currency(settings[name], currency), gate, http, clock)
        for name, entry in CATALOG.items()
        if is_configured(name, settings)
    }


def _with_currency(settings: ProviderSettings, currency: str) -> ProviderSettings:
    return msgspec.structs.replace(settings, extra={**settings.extra, CURRENCY: currency})


def group_by_port(adapters: Mapping[str, Any], missing_senders: Mapping[Channel, str]) -> Ports:
    """Group adapters by the ports they implement; the first verifier and writer count."""
    senders: dict[Channel, Sender] = {}
    for sender in adapters.values():
        if isinstance(sender, Sender):
            senders.setdefault(sender.channel, sender)
    verifiers = (port for port in adapters.values() if isinstance(port, EmailVerifier))
    writers = (port for port in adapters.values() if isinstance(port, TextWriter))
    return Ports(
        sources={name: port for name, port in adapters.items() if isinstance(port, PeopleSource)},
        enrichers={
            name: port for name, port in adapters.items() if isinstance(port, PersonEnricher)
        },
        verifier=next(verifiers, None),
        writer=next(writers, None),
        senders=senders,
        missing_senders=missing_senders,
    )


class FeatureRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A provider's line of the feature matrix; `credits` and `limits` are texts."""

    name: str
    does: tuple[str, ...]
    plan: str
    limits: str
    credits: str
    read_on: str
    docs_url: str


def feature_matrix() -> tuple[FeatureRow, ...]:
    """List what each provider can do, allows and charges."""
    return tuple(_row(entry.spec) for entry in CATALOG.values())


def _row(spec: ProviderSpec) -> FeatureRow:
    limits = (
        f"{name} " + ", ".join(f"{each.calls}/{each.seconds:g} s" for each in windows)
        for name, windows in spec.limits.items()
    )
    return FeatureRow(
        name=spec.name,
        does=tuple(does for port, does in PORTS.items() if port in spec.implements),
        plan=spec.plan,
        limits="; ".join(limits),
        credits=", ".join(f"{name} {most}" for name, most in spec.credits.items() if most),
        read_on=spec.read_on,
        docs_url=spec.docs_url,
    )


def write_page() -> str:
    """Write the feature matrix in Markdown: `docs/providers.md`."""
    head = ("provider", *PORTS.values(), "plan", "limits", "most credits", "read")
    lines = [head, ("---",) * len(head), *(_cells(row) for row in feature_matrix())]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return f"# Providers\n\nWritten by `leadflood provider list --markdown`.\n\n{table}\n"


def _cells(row: FeatureRow) -> tuple[str, ...]:
    ports = ("yes" if does in row.does else "" for does in PORTS.values())
    return (row.name, *ports, row.plan, row.limits, row.credits, f"[{row.read_on}]({row.docs_url})")


async def close_all(adapters: list[Any]) -> None:
    """Close what adapters hold open (SMTP lines, the openai package's connections)."""
    for adapter in adapters:
        if hasattr(adapter, "aclose"):
            await adapter.aclose()
