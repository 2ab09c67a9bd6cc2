from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from leadflood.contracts.errors import (
    ProviderChanged,
    ProviderDown,
    ProviderKeyRefused,
    ProviderRefused,
    ProviderThrottled,
)
from leadflood.contracts.ports.sender import Arrival, OutgoingMessage
from leadflood.contracts.provider_spec import ProviderSettings
from leadflood.contracts.values import Channel
from leadflood.engine.clock import ManualClock
from leadflood.engine.errors import Invalid, Transient, Unsure
from leadflood.engine.net.calls import Http, LimitHint, Unreached
from leadflood.providers.trengo import Trengo

from tests.support.conformance import Samples
from tests.support.gate import DirectGate
from tests.support.tapes import (
    Answer,
    RecordedRequest,
    cut_after_request,
    never_answer,
    playing,
    raw_server,
    sample,
)

CONFORMANCE = Samples()
SENT_AT = datetime(2026, 11, 4, 9, 12, tzinfo=UTC)
LATER = datetime(2026, 11, 4, 10, tzinfo=UTC)
TEXT = "Hello Ada, this is about Example Widgets Ltd. Reply STOP to end."

Make = Callable[..., Trengo]


@pytest.fixture
def make(gate: DirectGate, http: Http) -> Make:
    def build(url: str, now: datetime = LATER, timeout_seconds: float = 5, **extra: Any) -> Trengo:
        settings = ProviderSettings(
            base_url=url,
            api_key="token-1",
            credit_price_micros=70_000,
            timeout_seconds=timeout_seconds,
            extra=extra,
        )
        return Trengo(settings, gate, http, ManualClock(now))

    return build


def a_message(**over: Any) -> OutgoingMessage:
    values: dict[str, Any] = {
        "intent_id": "intent-1",
        "subject_id": "lead-1",
        "reference": "lf-1",
        "channel": Channel.WHATSAPP,
        "to": "+44 7700 900001",
        "template_id": "48211",
        "parameters": ("Ada", "Example Widgets Ltd"),
    }
    return OutgoingMessage(**{**values, **over})


async def test_a_template_goes_out_as_documented(make: Make, gate: DirectGate) -> None:
    async with playing(sample("trengo.send_template.success.json")) as tape:
        receipt = await make(tape.url).send(a_message())

    seen = tape.seen[-1]
    assert (seen.method, seen.path) == ("POST", "/wa_sessions")
    assert seen.json() == {
        "recipient_phone_number": "+447700900001",
        "hsm_id": 48211,
        "params": [
            {"type": "body", "key": "{{1}}", "value": "Ada"},
            {"type": "body", "key": "{{2}}", "value": "Example Widgets Ltd"},
        ],
    }
    assert seen.headers["authorization"] == "Bearer token-1"
    assert seen.headers["accept"] == "application/json"
    assert seen.headers["x-request-id"] == str(gate.references[-1])
    assert (receipt.remote_id, receipt.detail) == ("990011201", "ticket 551234501")
    assert gate.calls[-1].effect
    assert gate.calls[-1].max_cost_micros == gate.replies[-1].cost_micros == 70_000


async def test_the_type_of_a_parameter_can_be_left_out(make: Make) -> None:
    async with playing(sample("trengo.send_template.success.json")) as tape:
        await make(tape.url, parameter_type="").send(a_message(parameters=("Ada",)))

    sent: Any = tape.seen[-1].json()
    assert sent["params"] == [{"key": "{{1}}", "value": "Ada"}]


@pytest.mark.parametrize(
    ("answer", "remote_id", "detail"),
    [
        (sample("trengo.send_template.success_ticket_root.json"), "", "ticket 551234501"),
        (Answer(201, b'{"message":"Message sent"}'), "", ""),
        (Answer(200, b"<html>?"), "", "accepted; the answer could not be read"),
        (Answer(204, b""), "", "accepted; the answer could not be read"),
        (Answer(200, b'{"data":{"id":7,"ticket_id":8}}'), "7", "ticket 8"),
    ],
    ids=["ticket at the root", "a string", "garbage", "nothing", "data"],
)
async def test_whatever_a_2xx_says_the_message_went(
    make: Make, answer: Answer, remote_id: str, detail: str
) -> None:
    async with playing(answer) as tape:
        receipt = await make(tape.url).send(a_message())

    assert (receipt.remote_id, receipt.detail) == (remote_id, detail)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (sample("trengo.any.401.json"), ProviderKeyRefused),
        (sample("trengo.any.429.json"), ProviderThrottled),
        (sample("trengo.send_template.validation_error.json"), ProviderRefused),
        (Answer(404, b"<html>not here", content_type="text/html"), ProviderRefused),
        (Answer(302, b"", {"location": "https://elsewhere.example"}), ProviderRefused),
        (Answer(500, b"{}"), Unsure),
        (Answer(503, b"", {"retry-after": "5"}), Unsure),
    ],
)
async def test_a_refused_send_is_told_apart_from_an_unsure_one(
    make: Make, answer: Answer, error: type[Exception]
) -> None:
    async with playing(answer) as tape:
        with pytest.raises(error) as caught:
            await make(tape.url).send(a_message())

    assert type(caught.value) is error
    if isinstance(caught.value, ProviderThrottled):
        assert caught.value.retry_after_seconds == 17
        assert caught.value.hints[0].remaining == 0


async def test_a_cut_and_a_silence_after_the_request_are_unsure(make: Make) -> None:
    async with raw_server(cut_after_request) as port:
        with pytest.raises(Unsure):
            await make(f"http://127.0.0.1:{port}").send(a_message())
    async with raw_server(never_answer) as port:
        with pytest.raises(Unsure):
            await make(f"http://127.0.0.1:{port}", timeout_seconds=0.1).send(a_message())


async def test_a_refused_connection_is_transient(make: Make) -> None:
    async with raw_server(never_answer) as port:
        pass

    with pytest.raises(Unreached) as caught:
        await make(f"http://127.0.0.1:{port}").send(a_message())

    assert isinstance(caught.value, Transient)


@pytest.mark.parametrize(
    "over",
    [
        {"template_id": "intro_v1"},
        {"to": "12"},
        {"to": "07700900001"},
        {"parameters": ("two\nlines",)},
        {"parameters": (" ",)},
        {"parameters": ("x" * 1_025,)},
    ],
)
async def test_what_whatsapp_would_refuse_is_not_sent(
    make: Make, gate: DirectGate, over: dict[str, Any]
) -> None:
    async with playing(Answer()) as tape:
        with pytest.raises(Invalid) as caught:
            await make(tape.url).send(a_message(**over))

    assert caught.value.fields
    assert not gate.calls


async def test_headers_become_a_hint(make: Make, gate: DirectGate) -> None:
    headers = {"X-RateLimit-Limit": "120", "X-RateLimit-Remaining": "119"}
    async with playing(Answer(200, b"{}", headers)) as tape:
        await make(tape.url).send(a_message())

    assert gate.replies[-1].hints == (LimitHint(60, limit=120, remaining=119),)


def an_account(**over: Answer) -> Callable[[RecordedRequest], Answer]:
    """Answer the three listings as recorded, or as the test says."""

    def script(seen: RecordedRequest) -> Answer:
        name = (
            "list_ticket_messages"
            if seen.path.endswith("/messages")
            else f"list_{seen.path.strip('/')}"
        )
        return over.get(name) or sample(f"trengo.{name}.success.json")

    return script


def messages(*rows: dict[str, Any], **meta: Any) -> Answer:
    return Answer(body=msgspec.json.encode({"data": rows, "meta": meta or {"last_page": 1}}))


@pytest.mark.parametrize("text", [TEXT, ""], ids=["by text", "by parameters"])
async def test_a_listed_message_was_sent(make: Make, gate: DirectGate, text: str) -> None:
    async with playing(script=an_account()) as tape:
        arrival = await make(tape.url).look_up(a_message(text=text), SENT_AT)

    assert arrival is Arrival.SENT
    assert [(seen.path, dict(seen.query)) for seen in tape.seen] == [
        ("/contacts", {"term": "+447700900001", "page": "1"}),
        ("/tickets", {"contact_id": "31000001", "page": "1"}),
        ("/tickets/551234501/messages", {"page": "1"}),
    ]
    assert not any(call.effect for call in gate.calls)


async def test_a_bare_array_of_contacts_is_read_too(make: Make) -> None:
    bare = sample("trengo.list_contacts.bare_array.json")
    async with playing(script=an_account(list_contacts=bare)) as tape:
        arrival = await make(tape.url).look_up(a_message(), SENT_AT)

    assert arrival is Arrival.SENT


@pytest.mark.parametrize(
    "rows",
    [
        (),
        ({"type": "INBOUND", "body": TEXT, "created_at": "2026-11-04 09:12:31"},),
        ({"type": "OUTBOUND", "body": "Something else", "created_at": "2026-11-04 09:12:31"},),
        ({"type": "OUTBOUND", "body": TEXT, "created_at": "2026-11-01 09:12:31"},),
    ],
    ids=["empty", "inbound", "another text", "an older one"],
)
async def test_a_whole_list_without_it_means_not_sent(
    make: Make, rows: tuple[dict[str, Any], ...]
) -> None:
    async with playing(script=an_account(list_ticket_messages=messages(*rows))) as tape:
        arrival = await make(tape.url).look_up(a_message(text=TEXT), SENT_AT)

    assert arrival is Arrival.NOT_SENT


async def test_not_sent_is_not_said_while_it_may_still_be_under_way(make: Make) -> None:
    soon = datetime(2026, 11, 4, 9, 12, 30, tzinfo=UTC)
    async with playing(script=an_account(list_ticket_messages=messages())) as tape:
        assert await make(tape.url, now=soon).look_up(a_message(), SENT_AT) is Arrival.CANNOT_TELL
        patient = make(tape.url, now=soon, settle_seconds=10)
        assert await patient.look_up(a_message(), SENT_AT) is Arrival.NOT_SENT


async def test_a_list_that_never_ends_cannot_tell(make: Make) -> None:
    row = {"type": "INBOUND", "body": "hi", "created_at": "2026-11-04 09:12:31"}
    endless = messages(row, last_page=10_000)
    async with playing(script=an_account(list_ticket_messages=endless)) as tape:
        arrival = await make(tape.url).look_up(a_message(), SENT_AT)

    assert arrival is Arrival.CANNOT_TELL
    assert len(tape.seen) == 22


async def test_a_matching_text_of_unreadable_time_cannot_tell(make: Make) -> None:
    rows = messages({"type": "OUTBOUND", "body": TEXT, "created_at": "yesterday"})
    async with playing(script=an_account(list_ticket_messages=rows)) as tape:
        arrival = await make(tape.url).look_up(a_message(text=TEXT), SENT_AT)

    assert arrival is Arrival.CANNOT_TELL


async def test_two_contacts_with_the_number_cannot_prove_that_nothing_went(make: Make) -> None:
    rows = [{"id": 1, "phone": "+447700900001"}, {"id": 2, "identifier": "447700900001"}]
    twins = Answer(body=msgspec.json.encode({"data": rows, "links": {"next": None}}))
    account = an_account(list_contacts=twins, list_ticket_messages=messages())
    async with playing(script=account) as tape:
        arrival = await make(tape.url).look_up(a_message(), SENT_AT)

    assert arrival is Arrival.CANNOT_TELL


async def test_no_contact_cannot_tell_unless_the_operator_says_so(make: Make) -> None:
    nobody = sample("trengo.list_contacts.empty.json")
    async with playing(script=an_account(list_contacts=nobody)) as tape:
        assert await make(tape.url).look_up(a_message(), SENT_AT) is Arrival.CANNOT_TELL
        trengo = make(tape.url, absent_contact_means_not_sent=True)
        assert await trengo.look_up(a_message(), SENT_AT) is Arrival.NOT_SENT


async def test_a_message_without_text_or_parameters_cannot_be_recognized(make: Make) -> None:
    async with playing(script=an_account()) as tape:
        arrival = await make(tape.url).look_up(a_message(parameters=()), SENT_AT)

    assert arrival is Arrival.CANNOT_TELL


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (sample("trengo.any.401.json"), ProviderKeyRefused),
        (sample("trengo.any.429.json"), ProviderThrottled),
        (Answer(500, b""), ProviderDown),
        (Answer(200, b"<html>", content_type="text/html"), ProviderChanged),
    ],
)
async def test_a_look_up_that_fails_says_so(
    make: Make, answer: Answer, error: type[Exception]
) -> None:
    async with playing(answer) as tape:
        with pytest.raises(error):
            await make(tape.url).look_up(a_message(), SENT_AT)
