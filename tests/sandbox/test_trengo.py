"""The pretend Trengo, called over a real socket."""

from pathlib import Path
from typing import Any

from leadflood.sandbox.prices import TRENGO_MESSAGE_MICROS

from tests.sandbox.caller import Caller, Reply, keys_of, sample
from tests.sandbox.conftest import Open

_PHONE = "+447700900001"


async def _send(world: Caller, *values: str, phone: str = _PHONE, **more: Any) -> Reply:
    values = values or ("Ada", "Example Widgets Ltd")
    params = [
        {"type": "body", "key": f"{{{{{number}}}}}", "value": value}
        for number, value in enumerate(values, 1)
    ]
    body = {"recipient_phone_number": phone, "hsm_id": 48211, "params": params} | more
    return await world.call("POST", f"{world.at.trengo}/wa_sessions", body, reference="r-1")


async def _get(world: Caller, path: str, **params: str) -> Any:
    return (await world.call("GET", f"{world.at.trengo}/{path}", params=params)).json


async def test_a_sent_template_is_accepted_and_billed(world: Caller) -> None:
    reply = await _send(world)

    lines = await world.admin("invoices")
    assert keys_of(reply.json) == keys_of(sample("trengo.send_template.success"))
    assert [(line["reference"], line["amount_micros"]) for line in lines] == [
        ("r-1", TRENGO_MESSAGE_MICROS)
    ]


async def test_equal_messages_are_counted_together(world: Caller) -> None:
    for name in ("Ada", "Ada", "Grace"):
        await _send(world, name, "Example Widgets Ltd")

    list_messages = await world.admin("messages")
    assert [(mail["parameters"][0], mail["count"]) for mail in list_messages] == [
        ("Ada", 2),
        ("Grace", 1),
    ]
    assert list_messages[0]["recipient"] == _PHONE


async def test_a_sent_message_is_listed_on_its_ticket(world: Caller) -> None:
    sent = (await _send(world)).json["message"]
    tickets = await _get(world, "tickets", term=_PHONE)
    messages = await _get(world, f"tickets/{sent['ticket_id']}/messages")

    expected = sample("trengo.list_ticket_messages.success")
    assert keys_of(tickets) == keys_of(sample("trengo.list_tickets.success"))
    assert [ticket["id"] for ticket in tickets["data"]] == [sent["ticket_id"]]
    assert set(messages["data"][0]) == set(expected["data"][0])
    assert messages["data"][0]["body"] == (
        "Hello Ada, this is about Example Widgets Ltd. Reply STOP to end."
    )
    assert messages["meta"] == {"current_page": 1, "last_page": 1}


async def test_a_ticket_is_found_through_its_contact(world: Caller) -> None:
    sent = (await _send(world)).json["message"]
    await _send(world, phone="+447700900002")

    contacts = await _get(world, "contacts", term=_PHONE)
    tickets = await _get(world, "tickets", contact_id=str(contacts["data"][0]["id"]))

    assert set(contacts["data"][0]) == set(sample("trengo.list_contacts.success")["data"][0])
    assert [ticket["id"] for ticket in tickets["data"]] == [sent["ticket_id"]]
    assert (await _get(world, "contacts", term="+49"))["data"] == []


async def test_tickets_outlive_a_restart(open_world: Open) -> None:
    async with open_world() as world:
        sent = (await _send(world)).json["message"]
    async with open_world() as world:
        messages = await _get(world, f"tickets/{sent['ticket_id']}/messages")

    assert len(messages["data"]) == 1


async def test_a_message_can_go_to_a_ticket(world: Caller) -> None:
    ticket = (await _send(world)).json["message"]["ticket_id"]

    again = await _send(world, phone="", ticket_id=str(ticket))

    assert again.json["message"]["ticket_id"] == ticket


async def test_what_does_not_fit_is_422_and_free(world: Caller) -> None:
    replies = [
        await _send(world, hsm_id=None),
        await _send(world, hsm_id=1),
        await _send(world, "only one"),
        await _send(world, "", "empty"),
        await _send(world, phone="hello"),
        await _send(world, phone="+447700900999"),
    ]

    assert [reply.status for reply in replies] == [422] * 6
    assert replies[0].json["errors"] == {"hsm_id": ["The hsm id field is required."]}
    assert await world.admin("invoices") == []


async def test_lists_of_channels_and_templates_have_the_documented_keys(world: Caller) -> None:
    channels, templates = await _get(world, "channels"), await _get(world, "wa_templates")

    expected = sample("trengo.list_channels.success")
    assert set(channels["data"][0]) == set(expected["data"][0])
    assert keys_of(templates) == keys_of(sample("trengo.list_wa_templates.success"))


async def test_a_contact_is_created_once(world: Caller) -> None:
    url = f"{world.at.trengo}/channels/720011/contacts"
    body = {"identifier": _PHONE, "channel_id": 720011, "name": "Ada Example"}

    first, again = await world.call("POST", url, body), await world.call("POST", url, body)

    assert first.json == again.json
    assert set(first.json) == set(sample("trengo.create_contact.success"))
    assert len((await _get(world, "contacts"))["data"]) == 1


async def test_all_calls_share_120_a_minute(open_world: Open) -> None:
    async with open_world(plan_multiplier=1) as world:
        sent = [await _send(world) for _ in range(60)]
        listed = [await world.call("GET", f"{world.at.trengo}/tickets") for _ in range(61)]

    last = listed[-1]
    assert {reply.status for reply in (*sent, *listed[:-1])} == {200}
    assert sent[0].headers["x-ratelimit-limit"] == "120"
    assert sent[0].headers["x-ratelimit-remaining"] == "119"
    assert (last.status, last.json) == (429, {"message": "Too Many Attempts."})
    assert int(last.headers["retry-after"]) == 60
    assert int(last.headers["x-ratelimit-reset"]) > 0


async def test_a_wrong_token_is_401_and_a_wrong_path_a_page(world: Caller, tmp_path: Path) -> None:
    stranger = await world.call("GET", f"{world.at.trengo}/tickets", key="x")
    lost = await world.call("GET", f"{world.at.trengo}/nowhere")

    assert (stranger.status, stranger.json) == (401, {"message": "Unauthenticated."})
    assert lost.status == 404
    assert lost.headers["content-type"].startswith("text/html")
    assert (tmp_path / "journal.jsonl").exists()
