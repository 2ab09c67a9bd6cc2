import asyncio
import email
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import nullcontext
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from typing import Any
from uuid import UUID

import anyio
import pytest
from hypothesis import Phase, given, settings, strategies as st
from leadflood.contracts.errors import ProviderKeyRefused, ProviderRefused
from leadflood.contracts.ports.sender import Arrival, OutgoingMessage
from leadflood.contracts.provider_spec import ProviderSettings
from leadflood.contracts.values import Channel
from leadflood.engine.clock import ManualClock, SystemClock
from leadflood.engine.errors import Invalid, NotConfigured, Throttled, Transient, Unsure
from leadflood.engine.net.calls import Call, Http, Prepare, Reply, Send, Unreached
from leadflood.engine.text import one_line
from leadflood.providers import catalog
from leadflood.providers.smtp import Smtp, build_mail, classify
from typing_extensions import override

from tests.support.conformance import Samples
from tests.support.gate import DirectGate
from tests.support.mail_server import Sink, mail_server
from tests.support.tapes import SAMPLES, never_answer, raw_server

CONFORMANCE = Samples(not_over_http="it speaks SMTP: this module holds it to the same")
NOW = datetime(2026, 11, 4, 9, 12, 31, tzinfo=UTC)
CASES = json.loads((SAMPLES / "smtp_email.smtp.replies.json").read_text())["cases"]


def a_message(**over: Any) -> OutgoingMessage:
    values: dict[str, Any] = {
        "intent_id": "intent-1",
        "subject_id": "lead-1",
        "reference": "<lf-1.7f3c9a@send.example.com>",
        "channel": Channel.EMAIL,
        "to": "ada@example.net",
        "to_name": "Ada Example",
        "from_address": "grace@send.example.com",
        "from_name": "Grace Sample",
        "reply_to": "grace@example.com",
        "subject": "A question about your widgets",
        "text": "Hi Ada,\n\n.a line with a dot\n\nUnsubscribe: https://u.example.com/u/T?a=1&b=2",
        "unsubscribe_url": "https://u.example.com/u/9b1fTOKEN",
        "unsubscribe_mailto": "unsub+9b1f@example.com",
    }
    return OutgoingMessage(**{**values, **over})


Make = Callable[..., Smtp]


@pytest.fixture
async def make(gate: DirectGate, http: Http) -> AsyncIterator[Make]:
    senders: list[Smtp] = []

    def build(port: int, timeout_seconds: float = 5, user: str = "", **extra: Any) -> Smtp:
        settings = ProviderSettings(
            base_url=f"smtp://{user}127.0.0.1:{port}",
            timeout_seconds=timeout_seconds,
            extra=extra,
        )
        senders.append(Smtp(settings, gate, http, ManualClock(NOW)))
        return senders[-1]

    yield build
    for smtp in senders:
        await smtp.aclose()


@pytest.mark.parametrize(
    ("base_url", "api_key", "missing"),
    [
        ("smtp://relay.internal:25", "", {}),
        ("smtp://me@host:587", "k", {}),
        ("smtp://me:k@host:587", "", {}),
        ("", "", {Channel.EMAIL: "providers.smtp.base_url"}),
        ("smtp://me@host:587", "", {Channel.EMAIL: "providers.smtp.api_key"}),
        ("smtp://[broken", "", {}),
    ],
)
def test_a_relay_that_asks_for_no_password_needs_no_key(
    base_url: str, api_key: str, missing: dict[Channel, str]
) -> None:
    settings = {name: ProviderSettings() for name in catalog.CATALOG}
    settings["smtp"] = ProviderSettings(base_url=base_url, api_key=api_key)
    settings["trengo"] = ProviderSettings(api_key="k", extra={"channel_id": 1})

    assert catalog.list_missing_senders(settings) == missing


async def test_a_mail_arrives_whole_and_once(make: Make, gate: DirectGate) -> None:
    sink = Sink()
    async with mail_server(sink) as port:
        receipt = await make(port).send(a_message())

    ((sender, recipients, mail),) = sink.got
    assert (sender, recipients) == ("grace@send.example.com", ["ada@example.net"])
    assert dict(mail.items()) | {"Content-Type": ""} == {
        "From": "Grace Sample <grace@send.example.com>",
        "To": "Ada Example <ada@example.net>",
        "Reply-To": "grace@example.com",
        "Subject": "A question about your widgets",
        "Date": "Wed, 04 Nov 2026 09:12:31 +0000",
        "Message-ID": "<lf-1.7f3c9a@send.example.com>",
        "List-Unsubscribe": (
            "<https://u.example.com/u/9b1fTOKEN>, <mailto:unsub+9b1f@example.com>"
        ),
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "X-Request-ID": str(gate.references[-1]),
        "MIME-Version": "1.0",
        "Content-Type": "",
    }
    text, hyper = mail.iter_parts()
    assert isinstance(text, EmailMessage)
    assert isinstance(hyper, EmailMessage)
    assert mail.get_content_type() == "multipart/alternative"
    assert text.get_content().replace("\r\n", "\n").rstrip("\n") == a_message().text
    assert '<a href="https://u.example.com/u/T?a=1&amp;b=2">' in hyper.get_content()
    assert receipt.remote_id == "<lf-1.7f3c9a@send.example.com>"
    assert receipt.detail == "2.0.0 queued as 4711"
    assert gate.calls[-1].effect


async def test_a_connection_is_used_again(make: Make) -> None:
    sink = Sink()
    async with mail_server(sink) as port:
        smtp = make(port)
        for number in range(25):
            await smtp.send(a_message(reference=f"<lf-{number}@example.com>"))

    assert len(sink.got) == 25
    assert len(sink.sessions) == 2


class LateGate(DirectGate):
    """Lets nothing go before it has looked at what the server has got."""

    def __init__(self, sink: Sink, error: Exception | None = None) -> None:
        super().__init__()
        self._sink = sink
        self._error = error
        self.envelopes: list[list[str]] = []

    @override
    async def call(self, call: Call, send: Send, prepare: Prepare = nullcontext) -> Reply:
        async def look_and_send(reference: UUID) -> Reply:
            self.envelopes.append(list(self._sink.recipients))
            if self._error is not None:
                raise self._error
            return await send(reference)

        return await super().call(call, look_and_send, prepare)


async def test_sender_and_recipient_are_taken_before_the_gate_lets_the_mail_go(http: Http) -> None:
    sink = Sink()
    gate = LateGate(sink)
    async with mail_server(sink) as port:
        smtp = Smtp(
            ProviderSettings(base_url=f"smtp://127.0.0.1:{port}"), gate, http, SystemClock()
        )
        await smtp.send(a_message())
        await smtp.aclose()

    assert gate.envelopes == [["ada@example.net"]]
    assert len(sink.got) == 1


async def test_what_the_gate_refuses_is_not_sent_and_its_connection_serves_the_next(
    http: Http,
) -> None:
    sink = Sink()
    gate = LateGate(sink, Throttled("held", 60.0))
    async with mail_server(sink) as port:
        smtp = Smtp(
            ProviderSettings(base_url=f"smtp://127.0.0.1:{port}"), gate, http, SystemClock()
        )
        for _ in range(2):
            with pytest.raises(Throttled):
                await smtp.send(a_message())
        await smtp.aclose()

    assert sink.got == []
    assert len(gate.envelopes) == 2
    assert len(sink.greeted) == 1


async def test_as_many_connections_are_open_as_the_server_allows(make: Make) -> None:
    sink = Sink()
    sink.most = 3
    async with mail_server(sink) as port, anyio.create_task_group() as tasks:
        smtp = make(port)
        for number in range(12):
            tasks.start_soon(smtp.send, a_message(reference=f"<lf-{number}@example.com>"))

    assert len(sink.got) == 12
    assert len(sink.sessions) == 3


async def test_a_connection_that_died_idle_is_replaced(make: Make) -> None:
    sink = Sink()
    async with mail_server(sink) as port:
        smtp = make(port)
        await smtp.send(a_message())
        assert smtp._pool is not None
        for pooled in smtp._pool._idle:
            assert pooled.connection.transport is not None
            pooled.connection.transport.close()
        await smtp.send(a_message(reference="<lf-2@example.com>"))

    assert len(sink.got) == 2


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['phase']} {case['text'][:12]}")
def test_replies_are_blamed_on_the_right_thing(case: dict[str, Any]) -> None:
    expected = {
        "hard_no_enhanced_code": "hard",
        "unknown_treat_soft": "soft",
        "policy_temp": "policy",
    }
    if case["class"] == "accepted":
        return

    assert classify(case["code"], case["text"]) == expected.get(case["class"], case["class"])


@pytest.mark.parametrize("case", CASES[1:], ids=lambda case: f"{case['phase']} {case['text'][:12]}")
async def test_a_4xx_is_for_later_and_a_5xx_for_good(make: Make, case: dict[str, Any]) -> None:
    sink = Sink()
    sink.say[case["phase"]] = f"{case['code']} {case['text']}"
    async with mail_server(sink) as port:
        with pytest.raises((Transient, ProviderRefused)) as caught:
            await make(port).send(a_message())

    if case["code"] < 500:
        assert isinstance(caught.value, Transient)
        assert not isinstance(caught.value, Unreached)
        assert caught.value.retry_after_seconds in {300, 900}
        assert caught.value.error_code.startswith("smtp.")
    elif case["class"] == "config":
        assert isinstance(caught.value, ProviderKeyRefused)
    else:
        kind = classify(case["code"], case["text"])
        assert caught.value.error_code == f"smtp.{kind}"


Step = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def dialogue(last: str, then: Step) -> Step:
    """Speak SMTP up to the command `last`, then do as the test says."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 raw.example.com ESMTP\r\n")
        while line := await reader.readline():
            verb = line[:4].decode().strip().upper()
            if verb == last:
                await then(reader, writer)
                return
            writer.write(b"354 go\r\n" if verb == "DATA" else b"250 OK\r\n")

    return talk


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    del reader
    writer.close()


def after_the_dot(then: bytes | None) -> Step:
    """Take the mail with its dot; then say something, or hang up."""

    async def step(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"354 go\r\n")
        await reader.readuntil(b"\r\n.\r\n")
        if then is not None:
            writer.write(then)
            await writer.drain()

    return step


@pytest.mark.parametrize("last", ["EHLO", "MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("then", [hang_up, never_answer])
async def test_a_cut_or_silence_before_the_final_dot_is_transient(
    make: Make, last: str, then: Step
) -> None:
    async with raw_server(dialogue(last, then)) as port:
        with pytest.raises(Unreached) as caught:
            await make(port, timeout_seconds=0.15).send(a_message())

    assert isinstance(caught.value, Transient)


async def test_a_refused_connection_is_transient(make: Make) -> None:
    async with raw_server(hang_up) as port:
        pass

    with pytest.raises(Unreached):
        await make(port).send(a_message())


@pytest.mark.parametrize(
    "then", [None, b"rubbish\r\n", b"354 again\r\n"], ids=["cut", "rubbish", "out of turn"]
)
async def test_a_lost_verdict_after_the_final_dot_is_unsure(make: Make, then: bytes | None) -> None:
    async with raw_server(dialogue("DATA", after_the_dot(then))) as port:
        with pytest.raises(Unsure):
            await make(port).send(a_message())


async def test_silence_after_the_final_dot_is_unsure(make: Make) -> None:
    async def step(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"354 go\r\n")
        await never_answer(reader, writer)

    async with raw_server(dialogue("DATA", step)) as port:
        with pytest.raises(Unsure):
            await make(port, timeout_seconds=0.15).send(a_message())


@pytest.mark.parametrize(
    ("said", "error"),
    [(b"451 4.3.0 try later\r\n", Transient), (b"550 5.7.1 spam\r\n", ProviderRefused)],
)
async def test_a_refusal_after_the_final_dot_is_a_refusal(
    make: Make, said: bytes, error: type[Exception]
) -> None:
    async with raw_server(dialogue("DATA", after_the_dot(said))) as port:
        with pytest.raises(error) as caught:
            await make(port).send(a_message())

    assert not isinstance(caught.value, Unreached)


async def test_any_2xx_after_the_final_dot_is_accepted(make: Make) -> None:
    async with raw_server(dialogue("DATA", after_the_dot(b"251 fine by me\r\n"))) as port:
        receipt = await make(port).send(a_message())

    assert receipt.detail == "fine by me"


async def test_a_login_over_an_open_line_is_refused(make: Make) -> None:
    async with mail_server(Sink()) as port:
        with pytest.raises(ProviderRefused) as caught:
            await make(port, user="grace:secret@").send(a_message())

    assert caught.value.error_code == "smtp.config"


async def test_a_wrong_login_names_the_settings(make: Make) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 raw.example.com ESMTP\r\n")
        await reader.readline()
        writer.write(b"250-raw.example.com\r\n250 AUTH PLAIN LOGIN\r\n")
        while await reader.readline():
            writer.write(b"535 5.7.8 bad credentials\r\n")

    async with raw_server(talk) as port:
        with pytest.raises(ProviderKeyRefused, match=r"providers\.smtp"):
            await make(port, user="grace:secret@", starttls=False).send(a_message())


@pytest.mark.parametrize(
    "url", ["", "http://mail.example.com", "smtp://", "smtp://mail.example.com:x"]
)
async def test_a_missing_server_names_the_setting(gate: DirectGate, http: Http, url: str) -> None:
    smtp = Smtp(ProviderSettings(base_url=url), gate, http, ManualClock(NOW))

    with pytest.raises(NotConfigured, match=r"providers\.smtp\.base_url"):
        await smtp.send(a_message())


async def test_smtp_cannot_tell_afterwards(make: Make) -> None:
    assert await make(1).look_up(a_message(), NOW) is Arrival.CANNOT_TELL


EVIL = (
    *("\r\nBcc: x@example.com", "\n", "\r", "\x00", "\x07", "\x85", "\u2028", "\u2029"),
    *("\u202e", "\u200b", "=?utf-8?q?Win?="),
)


@pytest.mark.parametrize(
    "field",
    [
        "subject",
        "to",
        "to_name",
        "from_name",
        "from_address",
        "reply_to",
        "reference",
        "unsubscribe_url",
        "unsubscribe_mailto",
    ],
)
@pytest.mark.parametrize("evil", EVIL)
def test_a_line_break_or_a_hidden_sign_in_any_header_is_invalid(field: str, evil: str) -> None:
    value = getattr(a_message(), field) + evil

    with pytest.raises(Invalid) as caught:
        build_mail(a_message(**{field: value}), NOW)

    assert field in {problem.path for problem in caught.value.fields}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("to", "nobody"),
        ("to", "a@b@c"),
        ("to", "ädä@example.net"),
        ("to", ""),
        ("from_address", "@example.com"),
        ("subject", " "),
        ("text", ""),
        ("reference", "lf-1@example.com"),
        ("unsubscribe_url", "https://u.example.com/>, <https://evil.example"),
    ],
)
def test_what_cannot_be_a_mail_is_invalid(field: str, value: str) -> None:
    with pytest.raises(Invalid) as caught:
        build_mail(a_message(**{field: value}), NOW)

    assert field in {problem.path for problem in caught.value.fields}


def test_one_click_is_only_promised_where_it_can_be_posted() -> None:
    mailto = build_mail(a_message(unsubscribe_url=""), NOW)
    plain = build_mail(a_message(unsubscribe_url="http://127.0.0.1:5050/u/T"), NOW)
    neither = build_mail(a_message(unsubscribe_url="", unsubscribe_mailto=""), NOW)

    assert mailto["List-Unsubscribe"] == "<mailto:unsub+9b1f@example.com>"
    assert "List-Unsubscribe-Post" not in mailto
    assert "List-Unsubscribe-Post" not in plain
    assert "List-Unsubscribe" not in neither


async def test_a_long_unsubscribe_address_is_not_folded(make: Make) -> None:
    sink = Sink()
    url = f"https://u.example.com/u/{'t' * 300}"
    async with mail_server(sink) as port:
        await make(port).send(a_message(unsubscribe_url=url, subject="ü" * 100))

    mail = sink.got[0][2]
    assert f"\r\nList-Unsubscribe: <{url}>" in mail.as_string(
        policy=policy.SMTP.clone(max_line_length=998, refold_source="none")
    )
    assert mail["Subject"] == "ü" * 100


@given(text=st.text(min_size=1).filter(lambda text: text.strip() != ""))
def test_any_text_makes_a_mail_of_short_ascii_lines(text: str) -> None:
    raw = build_mail(a_message(text=text), NOW).as_bytes()

    assert raw.isascii()
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    assert b"\n" not in raw.replace(b"\r\n", b"")


@given(st.text(max_size=40))
@settings(max_examples=60, deadline=None, phases=[Phase.explicit, Phase.generate])
def test_a_subject_and_a_name_arrive_as_they_were_checked(text: str) -> None:
    line = one_line(text)
    message = a_message(subject=f"About {line}", to_name=line, from_name=line)

    mail = email.message_from_bytes(
        build_mail(message, NOW).as_bytes(policy=policy.SMTP), policy=policy.default
    )

    shown = (mail["Subject"], *(mail[name].addresses[0].display_name for name in ("To", "From")))
    # between two encoded words a reader may show a space that was not there
    assert ["".join(text.split()) for text in shown] == [
        "".join(text.split()) for text in (message.subject, line, line)
    ]
