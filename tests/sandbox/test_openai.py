"""The pretend language model, called over a real socket."""

import math
from typing import Any

import msgspec
from leadflood.sandbox.prices import (
    OPENAI_COMPLETION_MICROS_PER_MILLION,
    OPENAI_PROMPT_MICROS_PER_MILLION,
)

from tests.sandbox.caller import Caller, Reply, keys_of, sample

_FACTS = [
    {"number": 1, "field": "first_name", "text": "Mira"},
    {"number": 2, "field": "title", "text": "VP Operations"},
    {"number": 3, "field": "company_name", "text": "Northwind Robotics"},
    {"number": 4, "field": "company_technologies", "text": "SAP, Shopify"},
]
_TASK: dict[str, Any] = {
    "facts": _FACTS,
    "offer": "we cut the time spent on paperwork by half",
    "sender_name": "Anna Berg",
    "channel": "email",
    "placeholders": [],
}


def _properties() -> dict[str, Any]:
    text, number = {"type": "string"}, {"type": "integer"}
    claim = {"type": "object", "properties": {"text": text, "facts": {"type": "array"}}}
    return {
        "subject": text,
        "body": text,
        "parameters": {"type": "array", "items": text},
        "claims": {"type": "array", "items": claim},
        "extra": number,
    }


async def _write(world: Caller, task: dict[str, Any], **more: Any) -> Reply:
    schema = {"type": "object", "properties": _properties()}
    body = {
        "model": "gpt-4o-mini",
        "messages": [
            {"role": "developer", "content": "Write one message from the facts."},
            {"role": "user", "content": msgspec.json.encode(task).decode()},
        ],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "draft", "schema": schema, "strict": True},
        },
    }
    url = f"{world.at.openai}/chat/completions"
    return await world.call("POST", url, body | more, reference="draft-1")


def _draft(reply: Reply) -> Any:
    return msgspec.json.decode(reply.json["choices"][0]["message"]["content"])


async def test_an_answer_has_the_documented_keys(world: Caller) -> None:
    reply = await _write(world, _TASK)

    assert keys_of(reply.json) == keys_of(sample("openai.chat.success"))
    assert reply.json["choices"][0]["finish_reason"] == "stop"
    assert set(_draft(reply)) == set(_properties())


async def test_every_sentence_of_a_letter_is_a_claim_that_cites_facts(world: Caller) -> None:
    draft = _draft(await _write(world, _TASK))

    rest = draft["body"]
    for claim in draft["claims"]:
        assert claim["text"] in draft["body"]
        assert set(claim["facts"]) <= {1, 2, 3, 4}
        assert claim["facts"]
        rest = rest.replace(claim["text"], "")
    assert not rest.strip()
    assert "VP Operations" in draft["body"]
    assert "paperwork by half" in draft["body"]
    assert draft["body"].endswith("Anna Berg")
    assert draft["subject"] == "A question for Northwind Robotics"


async def test_whatsapp_fills_the_placeholders_without_line_breaks(world: Caller) -> None:
    holes = ["first_name", "company_name", "offer", "sender_name"]
    task = _TASK | {"channel": "whatsapp", "placeholders": holes, "offer": "less\npaper"}

    draft = _draft(await _write(world, task))

    assert draft["parameters"] == ["Mira", "Northwind Robotics", "less paper", "Anna Berg"]
    assert {"text": "Mira", "facts": [1]} in draft["claims"]


async def test_the_same_facts_give_the_same_draft(world: Caller) -> None:
    assert _draft(await _write(world, _TASK)) == _draft(await _write(world, _TASK))


async def test_tokens_are_counted_and_priced(world: Caller) -> None:
    usage = (await _write(world, _TASK)).json["usage"]

    line = (await world.admin("invoices"))[0]
    price = (
        usage["prompt_tokens"] * OPENAI_PROMPT_MICROS_PER_MILLION
        + usage["completion_tokens"] * OPENAI_COMPLETION_MICROS_PER_MILLION
    )
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 100
    assert line["amount_micros"] == math.ceil(price / 1_000_000) > 0
    assert line["reference"] == "draft-1"


async def test_an_answer_longer_than_allowed_is_cut(world: Caller) -> None:
    reply = await _write(world, _TASK, max_completion_tokens=10)

    assert reply.json["choices"][0]["finish_reason"] == "length"
    assert reply.json["usage"]["completion_tokens"] == 10


async def test_a_message_that_is_no_task_gets_an_empty_draft(world: Caller) -> None:
    body = sample("openai.chat.request")

    reply = await world.call("POST", f"{world.at.openai}/chat/completions", body)

    assert _draft(reply) == {
        "subject": "A short question",
        "body": "",
        "decision": "send",
        "reason": None,
    }


async def test_errors_have_a_type_and_a_code(world: Caller) -> None:
    url = f"{world.at.openai}/chat/completions"

    stranger = await world.call("POST", url, {}, key="x")
    empty = await world.call("POST", url, {})
    lost = await world.call("POST", f"{world.at.openai}/nowhere", {})

    assert (stranger.status, stranger.json["error"]["code"]) == (401, "invalid_api_key")
    assert (empty.status, lost.status) == (400, 404)
