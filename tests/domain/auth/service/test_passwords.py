import threading
from contextlib import AsyncExitStack

import anyio
import pytest
from leadflood.domain.auth.service import passwords as service
from leadflood.domain.auth.service.passwords import MAX_THREADS, MAX_WAITING, Passwords
from leadflood.engine.errors import Transient
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


async def test_who_would_wait_for_long_is_turned_away_at_once() -> None:
    passwords, hashed = Passwords(CHEAP), list[str]()

    async def hash_one() -> None:
        hashed.append(await passwords.hash("correct horse staple battery"))

    async with anyio.create_task_group() as group, AsyncExitStack() as stack:
        for _ in range(MAX_THREADS):
            await stack.enter_async_context(passwords.slot())
        for _ in range(MAX_WAITING):
            group.start_soon(hash_one)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(Transient) as refusal:
            await passwords.hash("correct horse staple battery")
        with pytest.raises(Transient):
            await passwords.check("correct horse staple battery", "")

    assert refusal.value.error_code == "auth.login.busy"
    assert refusal.value.retry_after_seconds is not None
    assert len(hashed) == MAX_WAITING


async def test_a_crowd_of_strangers_keeps_nobody_waiting_who_is_known() -> None:
    passwords, order, may_end = Passwords(CHEAP), list[str](), anyio.Event()

    async def hold(name: str) -> None:
        async with passwords.slot(is_known=name == "known"):
            order.append(name)
            await may_end.wait()

    async with anyio.create_task_group() as group:
        for _ in range(MAX_THREADS + MAX_WAITING):
            group.start_soon(hold, "stranger")
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(Transient):
            await hold("stranger")
        for _ in range(MAX_WAITING):
            group.start_soon(hold, "known")
        await anyio.wait_all_tasks_blocked()
        may_end.set()

    assert order[:MAX_THREADS] == ["stranger"] * MAX_THREADS
    assert order[MAX_THREADS:][:MAX_WAITING] == ["known"] * MAX_WAITING
    assert len(order) == MAX_THREADS + 2 * MAX_WAITING


async def test_nobody_waits_for_long_however_slow_the_machine_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service, "MAX_WAIT_SECONDS", 0.05)
    passwords = Passwords(CHEAP)

    async with AsyncExitStack() as stack:
        for _ in range(MAX_THREADS):
            await stack.enter_async_context(passwords.slot())
        with anyio.fail_after(5), pytest.raises(Transient):
            await passwords.hash("correct horse staple battery")

    assert await passwords.hash("correct horse staple battery")


async def test_a_password_is_judged_off_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []
    monkeypatch.setattr(service, "check_password", lambda *_: threads.append(threading.get_ident()))

    await Passwords(CHEAP).check("correct horse staple battery", "")

    assert threads
    assert threads[0] != threading.get_ident()
