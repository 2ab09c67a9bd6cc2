"""The product's settings for the pretend services: where each is and what it charges."""

import msgspec

from leadflood.contracts.values import Micros
from leadflood.sandbox.prices import Prices
from leadflood.sandbox.world import Addresses


class Connection(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A provider's settings, but for its key and its limits."""

    base_url: str
    enabled: bool = True
    credit_price_micros: Micros = 0
    extra: dict[str, str | int | float | bool] = {}


def connections(at: Addresses, prices: Prices) -> dict[str, Connection]:
    """List the pretend services by provider name; a provider that is not here has none."""
    return {
        "apollo": Connection(base_url=at.apollo, credit_price_micros=prices.apollo),
        "hunter": Connection(base_url=at.hunter, credit_price_micros=prices.hunter),
        "pdl": Connection(base_url=at.pdl, credit_price_micros=prices.pdl),
        "openai": Connection(
            base_url=at.openai,
            extra={
                "model": "sandbox-writer",
                "input_micros_per_million": prices.openai_prompt,
                "output_micros_per_million": prices.openai_completion,
            },
        ),
        # its people have not opted in to anything: whoever wants WhatsApp enables it
        "trengo": Connection(base_url=at.trengo, enabled=False, credit_price_micros=prices.trengo),
        "smtp": Connection(
            base_url=f"smtp://leadflood@{at.smtp_host}:{at.smtp_port}",
            credit_price_micros=prices.smtp,
            extra={"starttls": False, "retry_seconds": 2.0},
        ),
    }
