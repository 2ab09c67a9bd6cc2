"""Prices, credits and rate limits of the pretend providers: documented plans, multiplied.

Prices are constants so that the product's sandbox settings can state the same numbers.
Source: the vendors' pages as noted in the providers' notes, read November 2026; where a price
is not published, a round number of the right size.
"""

from decimal import Decimal
from enum import StrEnum
from typing import Final

import msgspec

from leadflood.contracts.values import Micros

APOLLO_CREDIT_MICROS: Final = 20_000
HUNTER_CREDIT_MICROS: Final = 34_000
PDL_CREDIT_MICROS: Final = 280_000
TRENGO_MESSAGE_MICROS: Final = 70_000
SMTP_MESSAGE_MICROS: Final = 100
OPENAI_PROMPT_MICROS_PER_MILLION: Final = 150_000
OPENAI_COMPLETION_MICROS_PER_MILLION: Final = 600_000

DEMO_PLAN_MULTIPLIER: Final = 10
"""The demo's plans allow ten times what the documented paid plans do."""


class Prices(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Micros per credit, per message, and per million tokens; a call's tokens round up once."""

    apollo: Micros = APOLLO_CREDIT_MICROS
    hunter: Micros = HUNTER_CREDIT_MICROS
    pdl: Micros = PDL_CREDIT_MICROS
    trengo: Micros = TRENGO_MESSAGE_MICROS
    smtp: Micros = SMTP_MESSAGE_MICROS
    openai_prompt: Micros = OPENAI_PROMPT_MICROS_PER_MILLION
    openai_completion: Micros = OPENAI_COMPLETION_MICROS_PER_MILLION


class Keys(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The one key each server takes; at the mail server it is the password."""

    apollo: str = "sandbox-apollo-key"
    hunter: str = "sandbox-hunter-key"
    pdl: str = "sandbox-pdl-key"
    openai: str = "sandbox-openai-key"
    trengo: str = "sandbox-trengo-key"
    smtp: str = "sandbox-smtp-key"


class QuotaWindowKind(StrEnum):
    """Calendar-like windows, or any stretch of time."""

    FIXED = "fixed"
    SLIDING = "sliding"


class Limit(msgspec.Struct, frozen=True):
    """A rate limit: so many calls within so many seconds."""

    calls: int
    seconds: float
    kind: QuotaWindowKind = QuotaWindowKind.FIXED


_FIXED, _SLIDING = QuotaWindowKind.FIXED, QuotaWindowKind.SLIDING

DOCUMENTED_LIMITS: Final[dict[str, tuple[Limit, ...]]] = {
    "apollo.search": (Limit(200, 60), Limit(6_000, 3_600), Limit(50_000, 86_400)),
    "apollo.enrichment": (Limit(1_000, 60),),
    "apollo.default": (Limit(200, 60), Limit(400, 3_600), Limit(2_000, 86_400)),
    "hunter.search": (Limit(15, 1, _SLIDING), Limit(500, 60, _SLIDING)),
    "hunter.verifier": (Limit(10, 1, _SLIDING), Limit(300, 60, _SLIDING)),
    "hunter.free": (),
    "pdl.enrich": (Limit(1_000, 60),),
    "pdl.bulk": (Limit(1_000, 60),),
    "openai.chat": (Limit(5_000, 60, _SLIDING),),
    "trengo.any": (Limit(120, 60),),
    "smtp.send": (),
}

DOCUMENTED_CREDITS: Final[dict[str, Decimal]] = {
    "apollo": Decimal(10_000),
    "hunter": Decimal(2_000),
    "pdl": Decimal(350),
}


def limits_of(
    group: str, multiplier: int, kind: QuotaWindowKind | None, override: tuple[Limit, ...] | None
) -> tuple[Limit, ...]:
    """Return the windows of an endpoint group; `kind` makes all windows of one kind."""
    if override is not None:
        return override
    return tuple(
        Limit(limit.calls * multiplier, limit.seconds, kind or limit.kind)
        for limit in DOCUMENTED_LIMITS[group]
    )
