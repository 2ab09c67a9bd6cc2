"""Caps of money, as the settings set them."""

import msgspec


class Caps(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Caps that renew. None means no cap."""

    day_micros: int | None = None
    month_micros: int | None = None


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The caps over all providers, each provider's own by its name, and that of each user a day."""

    all: Caps = Caps()
    providers: dict[str, Caps] = {}
    user_day_micros: int | None = None


DEFAULTS = Settings()

NO_CAPS = Caps()
