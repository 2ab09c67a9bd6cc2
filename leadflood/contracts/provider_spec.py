"""Provider spec: what a provider is, and what an operator may set for it."""

from decimal import Decimal

import msgspec

from leadflood.engine.net.calls import Window

CURRENCY = "currency"
"""What the installation's currency is called among a provider's extra settings."""


class ProviderSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A provider's card: facts of its documentation, with the date they were read.

    `implements` names its ports (`contracts/ports`), each with the operation that one question
    through it is; `credits` lists all operations (`people.search`), each with the most that one
    call of it costs; `limits` the documented windows by limit name (the paid plan); `secrets` the
    settings it needs.
    """

    name: str
    implements: dict[type, str]
    base_url: str
    docs_url: str
    read_on: str
    plan: str
    secrets: tuple[str, ...] = ("api_key",)
    credits: dict[str, Decimal]
    limits: dict[str, tuple[Window, ...]]
    terms: str


class ProviderSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An operator's settings for a provider.

    Attributes:
        enabled: Whether it may be asked at all.
        base_url: The address of the service; empty means that of the card.
        api_key: The key.
        credit_price_micros: The price of one credit (or one call, or one message).
        day_cap_micros: The most to spend in a day; None sets no cap.
        month_cap_micros: The most to spend in a month; None sets no cap.
        timeout_seconds: How long one call may take.
        answer_days: How long an answer is used again.
        miss_days: How long a miss is believed.
        limits: Windows by limit name, in place of those of the card.
        extra: The provider's own few settings; with them, as `currency`, the installation's.
    """

    enabled: bool = True
    base_url: str = ""
    api_key: str = ""
    credit_price_micros: int = 0
    day_cap_micros: int | None = None
    month_cap_micros: int | None = None
    timeout_seconds: float = 30.0
    answer_days: float = 30.0
    miss_days: float = 7.0
    limits: dict[str, tuple[Window, ...]] = {}
    extra: dict[str, str | int | float | bool] = {}
