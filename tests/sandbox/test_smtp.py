"""The pretend mail server, spoken to by a real SMTP client."""

import asyncio
from email.message import EmailMessage
from typing import Any

import aiosmtplib
import anyio.lowlevel
import pytest
from leadflood.sandbox.faults import Fault
from leadflood.sandbox.prices import SMTP_MESSAGE_MICROS

from tests.sandbox.caller import Caller
from tests.sandbox.conftest import Open


def _mail(to: str, message_id: str = "<one@leadflood.example>") -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"] = "Anna Berg <anna@leadflood.example>", to
    mail["Subject"], mail["Message-ID"] = "A question", message_id
    mail.set_content("Hello Jürgen,\n\nwould a short call suit you?\n")
    return mail


async def _send(
    world: Caller,
    to: str,
    message_id: str = "<one@leadflood.example>",
    key: str = "sandbox-smtp-key",
    timeout_seconds: float = 5,
) -> Any:
    return await aiosmtplib.send(
        _mail(to, message_id),
        hostname=world.at.smtp_host,
        port=world.at.smtp_port,
        username="leadflood",
        password=key,
        start_tls=False,
        timeout=timeout_seconds,
    )


async def test_a_mail_is_taken_counted_and_billed_by_its_message_id(world: Caller) -> None:
    await _send(world, "mira@x.example")
    await _send(world, "mira@x.example")
    await _send(world, "ivo@x.example", "<two@leadflood.example>")

    list_messages, lines = await world.admin("messages"), await world.admin("invoices")
    assert [(mail["key"], mail["recipient"], mail["count"]) for mail in list_messages] == [
        ("<one@leadflood.example>", "mira@x.example", 2),
        ("<two@leadflood.example>", "ivo@x.example", 1),
    ]
    assert [line["amount_micros"] for line in lines] == [SMTP_MESSAGE_MICROS] * 3
    assert lines[0]["reference"] == "<one@leadflood.example>"
    assert (await world.admin("counters"))["messages"]["<one@leadflood.example>"] == 2


@pytest.mark.parametrize(
    ("mailbox", "code"), [("bounce.mira", 550), ("grey.mira", 450), ("full", 452)]
)
async def test_some_mailboxes_are_refused(world: Caller, mailbox: str, code: int) -> None:
    with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as caught:
        await _send(world, f"{mailbox}@x.example")

    assert [recipient.code for recipient in caught.value.recipients] == [code]
    assert await world.admin("messages") == []


async def test_a_text_can_be_refused_after_it_was_read(world: Caller) -> None:
    with pytest.raises(aiosmtplib.SMTPDataError) as caught:
        await _send(world, "policy@x.example")

    assert caught.value.code == 550
    assert await world.admin("invoices") == []


async def test_a_wrong_password_and_no_password_are_refused(world: Caller) -> None:
    with pytest.raises(aiosmtplib.SMTPAuthenticationError):
        await _send(world, "mira@x.example", key="wrong")

    client = aiosmtplib.SMTP(hostname=world.at.smtp_host, port=world.at.smtp_port, start_tls=False)
    async with client:
        with pytest.raises(aiosmtplib.SMTPSenderRefused) as caught:
            await client.send_message(_mail("mira@x.example"))
    assert caught.value.code == 530


async def test_hundreds_may_send_at_once(world: Caller) -> None:
    async with asyncio.TaskGroup() as tasks:
        for number in range(300):
            tasks.create_task(
                _send(world, f"m{number}@x.example", f"<{number}@x>", timeout_seconds=60)
            )

    list_messages = await world.admin("messages")
    assert len(list_messages) == 300
    assert {mail["count"] for mail in list_messages} == {1}


@pytest.mark.parametrize(
    ("fault", "code"),
    [(Fault.THROTTLED, 450), (Fault.THROTTLED_BARE, 450), (Fault.SERVER_ERROR, 451)],
)
async def test_a_busy_server_says_so_before_it_takes_anything(
    open_world: Open, fault: Fault, code: int
) -> None:
    async with open_world(fault_rates={fault: 1.0}) as world:
        with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as caught:
            await _send(world, "mira@x.example")

        assert caught.value.recipients[0].code == code
        assert await world.admin("messages") == []


@pytest.mark.parametrize("fault", [Fault.CUT, Fault.TIMEOUT, Fault.GARBAGE, Fault.ACTED_5XX])
async def test_after_a_cut_a_mail_was_taken_once_or_not_at_all(
    open_world: Open, fault: Fault
) -> None:
    always_taken = {Fault.GARBAGE, Fault.ACTED_5XX}
    async with open_world(fault_rates={fault: 1.0}) as world:
        for number in range(8):
            with pytest.raises((aiosmtplib.SMTPException, OSError, UnicodeDecodeError)):
                await _send(world, "mira@x.example", f"<{number}@x>", timeout_seconds=0.15)

        list_messages, lines = await world.admin("messages"), await world.admin("invoices")
        assert {mail["count"] for mail in list_messages} == {1}
        assert (len(list_messages) == 8) if fault in always_taken else (0 < len(list_messages) < 8)
        assert [line["reference"] for line in lines] == [mail["key"] for mail in list_messages]
        assert (await world.admin("counters"))["faults"]["smtp"][fault] == 8


async def test_a_hanging_send_is_open_until_the_caller_leaves(open_world: Open) -> None:
    async with open_world(fault_rates={Fault.TIMEOUT: 1.0}) as world:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_give_up(world))
            while not (calls := await world.admin("open")):
                await anyio.lowlevel.checkpoint()

        while await world.admin("open"):
            await anyio.lowlevel.checkpoint()

    assert calls[0]["provider"] == "smtp"
    assert calls[0]["reference"] == "<one@leadflood.example>"


async def _give_up(world: Caller) -> None:
    with pytest.raises(aiosmtplib.SMTPTimeoutError):
        await _send(world, "mira@x.example", timeout_seconds=0.4)
