"""Estimate for `--dry-run`: the most a run would cost, and the providers it would call."""

from decimal import Decimal

import msgspec

from leadflood.cli.console import format_money, print_message
from leadflood.contracts.ports.email import EmailVerifier
from leadflood.contracts.ports.people import PersonEnricher
from leadflood.providers import catalog
from leadflood.settings import Settings

MICROS = 1_000_000


class ProviderPrice(msgspec.Struct, frozen=True, rename="camel"):
    """The most that one provider would charge; `is_priced` False: its price is not set."""

    provider: str
    credits_per_lead: str
    per_lead_micros: int
    most_micros: int
    is_priced: bool


class Estimate(msgspec.Struct, frozen=True, rename="camel"):
    """The most a run could cost; `cap_micros` None: nothing but the prices limits it."""

    leads: int
    prices: tuple[ProviderPrice, ...] = msgspec.field(name="asked")
    most_micros: int
    cap_micros: int | None
    currency: str


def estimate(settings: Settings, leads: int, cap_micros: int | None) -> Estimate:
    """Add up the most that each provider could charge."""
    prices = tuple(_price(settings, name, leads) for name in _list_providers(settings))
    total = sum(price.most_micros for price in prices)
    most_micros = total if cap_micros is None else min(total, cap_micros)
    return Estimate(leads, prices, most_micros, cap_micros, settings.budget.currency)


def _list_providers(settings: Settings) -> list[str]:
    """Return the providers of a lead: the waterfall in its order, then the verifier."""
    order, verifier = settings.enrichment.order, _find_verifier(settings)
    names = [*order, verifier] if verifier and verifier not in order else order
    return [name for name in names if catalog.is_configured(name, settings.providers)]


def _find_verifier(settings: Settings) -> str | None:
    if not settings.enrichment.verify:
        return None
    verifiers = catalog.list_implementing(EmailVerifier)
    return next(
        (name for name in verifiers if catalog.is_configured(name, settings.providers)), None
    )


def _price(settings: Settings, name: str, leads: int) -> ProviderPrice:
    """Return the price of one call through each port that a lead needs."""
    spec, credit_count = catalog.CATALOG[name].spec, Decimal(0)
    if name in settings.enrichment.order:
        credit_count += catalog.credits_of(spec, PersonEnricher)
    if name == _find_verifier(settings):
        credit_count += catalog.credits_of(spec, EmailVerifier)
    unit = settings.providers[name].credit_price_micros
    per_lead = int((credit_count * unit).to_integral_value())
    return ProviderPrice(name, str(credit_count), per_lead, per_lead * leads, unit > 0)


def show_estimate(settings: Settings, estimated: Estimate) -> None:
    """Print the providers, their prices and the total."""
    print_message(f"dry run: nothing is imported or asked; {estimated.leads} leads would be scored")
    if not estimated.prices:
        print_message(
            "         no provider has a key: the file's own values are scored, at no cost"
        )
    for price in estimated.prices:
        per_lead = f"at most {format_money(price.per_lead_micros)} a lead"
        if not price.is_priced:
            setting = f"providers.{price.provider}.credit_price_micros"
            per_lead = f"NO PRICE SET ({setting}): not counted"
        print_message(
            f"         would ask {price.provider}: {price.credits_per_lead} credits, {per_lead}"
        )
    cap = "no cap"
    if estimated.cap_micros is not None:
        cap = f"capped at {format_money(estimated.cap_micros, 2)}"
    total = format_money(estimated.most_micros, 2)
    print_message(f"         at most {total} {settings.budget.currency} ({cap})")
