from uuid import UUID

import pytest
from leadflood.domain.duplicates.rules import (
    MOST_BLOCKS,
    Signature,
    compare,
    list_blocks,
    sign,
    sound_of,
)
from leadflood.domain.leads.schemas.identity import IdentityKey, LeadIdentity


def signed(name: str, *keys: tuple[str, str], company: str = "") -> Signature:
    return sign(
        LeadIdentity(
            id=UUID(int=1),
            names=(name,) if name else (),
            organisations=(),
            companies=(company,) if company else (),
            keys=tuple(IdentityKey(kind, value) for kind, value in keys),
            kept_apart=frozenset(),
        )
    )


SMITH = signed("john smith", ("email", "j1@big.example"), ("name_domain", "john smith|big.example"))


@pytest.mark.parametrize(
    ("name", "domain", "least", "most"),
    [
        ("john smith", "big.example", 0.5, 0.9),
        ("jon smith", "big.example", 0.5, 0.9),
        ("smith john", "big.example", 0.5, 0.9),
        ("jane doe", "big.example", 0.0, 0.35),
        ("john smith", "other.example", 0.0, 0.0),
    ],
)
def test_a_pair_is_likely_by_what_it_shares_and_how_its_names_are_alike(
    name: str, domain: str, least: float, most: float
) -> None:
    likeness = compare(SMITH, signed(name, ("name_domain", f"{name}|{domain}")))

    assert least <= likeness.score <= most


def test_why_is_told_with_what_tells_apart() -> None:
    other = signed(
        "john smith", ("email", "j2@big.example"), ("name_domain", "john smith|big.example")
    )

    reasons = compare(SMITH, other).reasons

    assert reasons == ("same name", "same domain big.example", "other address")


def test_names_that_sound_alike_share_a_block() -> None:
    one = signed("john smith", ("name_domain", "john smith|big.example"))
    other = signed("jon smyth", ("name_domain", "jon smyth|big.example"))
    nobody = signed("zoe kowalski", ("name_domain", "zoe kowalski|big.example"))

    assert sound_of("smith") == sound_of("smyth")
    assert set(list_blocks(one)) & set(list_blocks(other))
    assert not set(list_blocks(one)) & set(list_blocks(nobody))


def test_blocks_are_bounded() -> None:
    keys = [("name_phone", f"ann lee|+4930{number}") for number in range(100)]

    assert len(list_blocks(signed("ann lee", *keys))) == MOST_BLOCKS
