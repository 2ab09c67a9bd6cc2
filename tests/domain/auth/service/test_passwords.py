from leadflood.domain.auth.service.passwords import Passwords
from tests.support.accounts import CHEAP


async def test_the_same_password_typed_on_another_system_is_the_same() -> None:
    passwords = Passwords(CHEAP)

    password_hash = await passwords.hash(
        "Zoe\N{COMBINING DIAERESIS} likes cafe\N{COMBINING ACUTE ACCENT}s"
    )

    assert await passwords.verify(password_hash, "Zo\u00eb likes caf\u00e9s")


async def test_no_hash_a_foreign_hash_and_a_huge_password_are_wrong() -> None:
    passwords = Passwords(CHEAP)

    password_hash = await passwords.hash("correct horse staple battery")

    assert not await passwords.verify(None, "nobody's password")
    assert not await passwords.verify(password_hash, "x" * 100_000)
    assert not await passwords.verify("no hash of ours", "x" * 12)
