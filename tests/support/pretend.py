"""The pretend world as chaos tests use it: its plans, its people, and the product set up for it."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
from leadflood.contracts.normalization.phones import normalize_phone
from leadflood.domain.icp.schemas import Autopilot, Bands, IcpInput, Target
from leadflood.domain.leads.schemas.inputs import LeadInput
from leadflood.providers import catalog
from leadflood.sandbox.connections import connections
from leadflood.sandbox.faults import Fault, FaultProfile
from leadflood.sandbox.main import Announcement
from leadflood.sandbox.population import Person, Population
from leadflood.sandbox.prices import DOCUMENTED_LIMITS, Limit, Prices
from leadflood.sandbox.world import WorldConfig
from leadflood.settings import Settings, convert

SEED = 7
UNLIMITED = Decimal(10_000_000)
INDUSTRIES = ("robotics", "logistics", "manufacturing", "textiles", "food")
COUNTRIES = ("DE", "NL", "GB", "US", "SE")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How many times the documented limits the world allows, and how long its answers take.

    `cap_micros` is the cap of each run; None: it has none.
    """

    times: int = 20
    people_count: int = 8_000
    latency_seconds: dict[str, float] = {}
    faults: FaultProfile = FaultProfile.NONE
    fault_rates: dict[Fault, float] | None = None
    cap_micros: int | None = None
    slow_seconds: float = 1.0
    timeout_seconds: float = 10.0
    cool_down_seconds: float = 0.5
    dead_after_seconds: float = 15.0


def world_config(plan: Plan, folder: Path) -> WorldConfig:
    """Order a world. Trengo's 2 calls a second would be all that a run waits for: 10 times more."""
    return WorldConfig(
        folder=str(folder),
        seed=SEED,
        people_count=plan.people_count,
        plan_multiplier=plan.times,
        credits=dict.fromkeys(("apollo", "hunter", "pdl"), UNLIMITED),
        limits={
            "trengo.any": tuple(
                Limit(limit.calls * plan.times * 10, limit.seconds, limit.kind)
                for limit in DOCUMENTED_LIMITS["trengo.any"]
            )
        },
        latency_seconds=plan.latency_seconds,
        faults=plan.faults,
        fault_rates=plan.fault_rates,
        slow_seconds=plan.slow_seconds,
    )


def settings_for(
    world: Announcement, plan: Plan, data: Path, database_url: str, pool_size: int
) -> Settings:
    """Point the real adapters at the world, all of them, and let everything be sent."""
    return convert(
        {
            "mode": "sandbox",
            "data": str(data),
            "database": {"url": database_url, "pool_size": pool_size},
            "providers": dict(_providers(world, plan)),
            "budget": {"run_micros": None},
            "engine": {
                "heartbeat": {"beat_seconds": 0.2, "dead_after_seconds": plan.dead_after_seconds}
            },
            "gate": {"breaker": {"cool_down_seconds": plan.cool_down_seconds}},
            "enrichment": {"longest_turn_seconds": 6.0, "verify_patience_seconds": 15.0},
            "messaging": {
                "sender_name": "Sam Sandbox",
                "sender_address": "sam@leadflood.example",
                "reply_to": "sam@leadflood.example",
                "postal_address": "Leadflood Chaos, 1 Pretend Street, 12345 Sandbox",
                "unsubscribe_mailto": "unsubscribe@leadflood.example",
                "whatsapp_template_id": "48211",
                "whatsapp_placeholders": ["first_name", "offer"],
                "not_sent_after_seconds": 1.0,
                "held_retry_seconds": 0.5,
            },
        }
    )


def _providers(world: Announcement, plan: Plan) -> Iterator[tuple[str, dict[str, Any]]]:
    keys = msgspec.to_builtins(world.keys)
    over: Mapping[str, dict[str, Any]] = {
        "trengo": {
            "enabled": True,
            "extra": {"settle_seconds": 1.0, "absent_contact_means_not_sent": True},
        },
        "smtp": {"extra": {"starttls": False}},
    }
    for name, connection in connections(world.addresses, Prices()).items():
        settings = {**msgspec.to_builtins(connection), **over.get(name, {})}
        times = plan.times * 10 if name == "trengo" else plan.times
        yield (
            name,
            {
                **settings,
                "api_key": keys[name],
                "limits": _limits(name, times),
                "timeout_seconds": plan.timeout_seconds,
            },
        )


def _limits(name: str, times: int) -> dict[str, list[dict[str, Any]]]:
    return {
        limit: [
            msgspec.to_builtins(msgspec.structs.replace(window, calls=window.calls * times))
            for window in windows
        ]
        for limit, windows in catalog.CATALOG[name].spec.limits.items()
    }


def an_icp(index: int = -1) -> IcpInput:
    """Return an ICP that nearly everybody fits; each index is another few of the people."""
    target = Target(industries=INDUSTRIES, countries=COUNTRIES)
    if index >= 0:
        target = Target(industries=(INDUSTRIES[index % 5],), countries=(COUNTRIES[index // 5 % 5],))
    return IcpInput(
        name=f"Anybody of part {index}",
        offer="We cut the time from purchase request to order by half.",
        autopilot=Autopilot.HIGH,
        target=target,
        bands=Bands(medium=0.5, high=1.0),
    )


@lru_cache(maxsize=2)
def population(people_count: int) -> Population:
    """Make the same people as the world does."""
    return Population(SEED, people_count)


def reachable_by_phone_only(people: Population) -> Iterator[Person]:
    """List who has a mobile and no address at all, in trades that no discovery looks for."""
    for person in _strangers(people):
        if phone_of(person) and not (person.email or person.personal_email):
            yield person


def doubtful_address(people: Population) -> Iterator[Person]:
    """List whose address Apollo has but nobody vouches for, so that it is verified."""
    for person in _strangers(people):
        is_doubtful = person.email_status != "verified" and not person.hunter_knows
        if person.apollo_knows and person.apollo_has_email and is_doubtful:
            yield person


def sure_address(people: Population) -> Iterator[Person]:
    """List whose address Apollo vouches for."""
    for person in _strangers(people):
        if person.apollo_knows and person.apollo_has_email and person.email_status == "verified":
            yield person


def left_alone(people: Population) -> Iterator[Person]:
    """List who asked Hunter to be left alone, where Hunter is asked."""
    for person in people.people:
        if person.is_claimed and not (person.apollo_has_email or person.is_misspelled):
            yield person


def phone_of(person: Person) -> str:
    """Return the mobile number, if it is one that could exist."""
    return normalize_phone(person.mobile, person.country.code) or ""


def _strangers(people: Population) -> Iterator[Person]:
    for person in people.people:
        company = people.company_of(person)
        is_plain = not (person.is_claimed or person.is_misspelled or person.has_twin)
        if company.industry not in INDUSTRIES and is_plain and not company.is_catch_all:
            yield person


def lead_of(people: Population, person: Person) -> LeadInput:
    """Return what a salesperson would type in about a person."""
    company = people.company_of(person)
    return LeadInput(
        first_name=person.first_name,
        last_name=person.last_name,
        title=person.title.words,
        phone=phone_of(person),
        country=person.country.code,
        company_name=company.name,
        company_domain=company.domain,
    )
