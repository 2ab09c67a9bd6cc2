"""Phone numbers: E.164."""

from functools import lru_cache

import phonenumbers

from leadflood.contracts.normalization.text import clean_text


@lru_cache(maxsize=4096)
def normalize_phone(text: str, region: str | None = None) -> str | None:
    """Return the number as E.164; a national number needs its country (alpha-2)."""
    try:
        number = phonenumbers.parse(clean_text(text)[:60], region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
