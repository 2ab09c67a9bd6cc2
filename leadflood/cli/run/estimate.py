"""What a run would cost at most, and whom it would ask: for `--dry-run`."""

from decimal import Decimal

import msgspec

from leadflood.app import is_configured
from leadflood.cli.console import money, say
from leadflood.contracts.ports.email import EmailVerifier
from leadflood.contracts.ports.people import PersonEnricher
from leadflood.providers import catalog
from leadflood.settings import Settings

MICROS = 1_000_000


class Price(msgspec.Struct, frozen=True, rename="camel"):
    """What one provider would get at most; `is_priced` False: its price is not set."""

    provider: str
    credits_per_lead: str
    per_lead_micros: int
    most_micros: int
    is_priced: bool


class Estimate(msgspec.Struct, frozen=True, rename="camel"):
    """The most a run could cost. `cap_micros` None: nothing but the prices limits it."""

    leads: int
    asked: tuple[Price, ...]
    most_micros: int
    cap_micros: int | None
    currency: str


def estimate(settings: Settings, leads: int, cap_micros: int | None) -> Estimate:
    """Add up the most that each provider could charge."""
    asked = tuple(_price(settings, name, leads) for name in _list_asked(settings))
    total = sum(price.most_micros for price in asked)
    most = total if cap_micros is None else min(total, cap_micros)
    return Estimate(leads, asked, most, cap_micros, settings.budget.currency)


def _list_asked(settings: Settings) -> list[str]:
    """List who is asked for a lead: the waterfall in its order, then who checks addresses."""
    order, verifier = settings.enrichment.order, _find_verifier(settings)
    asked = [*order, verifier] if verifier and verifier not in order else order
    return [name for name in asked if _is_ready(settings, name)]


def _find_verifier(settings: Settings) -> str | None:
    if not settings.enrichment.verify:
        return None
    verifiers = catalog.list_implementing(EmailVerifier)
    return next((name for name in verifiers if _is_ready(settings, name)), None)


def _is_ready(settings: Settings, name: str) -> bool:
    return is_configured(settings.providers[name], catalog.CATALOG[name].spec.secrets)


def _price(settings: Settings, name: str, leads: int) -> Price:
    """Price one question through each port that is asked for a lead."""
    spec, credit_count = catalog.CATALOG[name].spec, Decimal(0)
    if name in settings.enrichment.order:
        credit_count += catalog.credits_of(spec, PersonEnricher)
    if name == _find_verifier(settings):
        credit_count += catalog.credits_of(spec, EmailVerifier)
    unit = settings.providers[name].credit_price_micros
    per_lead = int((credit_count * unit).to_integral_value())
    return Price(name, str(credit_count), per_lead, per_lead * leads, unit > 0)


def show_estimate(settings: Settings, priced: Estimate) -> None:
    """Say it."""
    say(f"dry run: nothing is imported or asked; {priced.leads} leads would be scored")
    if not priced.asked:
        say("         no provider has a key: what the file says is scored, at no cost")
    for price in priced.asked:
        worth = f"at most {money(price.per_lead_micros)} a lead"
        if not price.is_priced:
            worth = f"NO PRICE SET (providers.{price.provider}.credit_price_micros): not counted"
        say(f"         would ask {price.provider}: {price.credits_per_lead} credits, {worth}")
    cap = "no cap" if priced.cap_micros is None else f"capped at {money(priced.cap_micros, 2)}"
    say(f"         at most {money(priced.most_micros, 2)} {settings.budget.currency} ({cap})")
