"""Every provider, one line each."""

from collections.abc import Callable
from typing import Any

import msgspec

from leadflood.contracts.provider import ProviderSpec
from leadflood.providers import apollo, hunter, pdl, smtp, trengo


class Card(msgspec.Struct, frozen=True):
    """A provider: what it says of itself, and how it is built."""

    spec: ProviderSpec
    make: Callable[..., Any]


PROVIDERS = {
    "apollo": Card(apollo.SPEC, apollo.Apollo),
    "hunter": Card(hunter.SPEC, hunter.Hunter),
    "pdl": Card(pdl.SPEC, pdl.Pdl),
    "trengo": Card(trengo.SPEC, trengo.Trengo),
    "smtp": Card(smtp.SPEC, smtp.Smtp),
}
