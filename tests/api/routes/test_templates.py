from typing import Any
from uuid import uuid4

import pytest
from leadflood.engine.db.pool import Database

from tests.api.routes.test_lead_actions import audited
from tests.support.api import Client
from tests.support.messaging import World

pytestmark = pytest.mark.pg


WHATSAPP = {"channel": "whatsapp", "whatsappTemplateId": "7", "subject": "", "body": ""}


def a_text(**over: Any) -> dict[str, Any]:
    return {
        "name": f"later-{uuid4().hex}",
        "channel": "email",
        "subject": "Hello {{ first_name }}",
        "body": "Hi {{ first_name }},\n\n{{ offer }}\n\n{{ sender_name }}",
        **over,
    }


async def preview(api: Client, text: dict[str, Any], **more: Any) -> Any:
    answer = await api.post("/v1/templates/preview", {"template": text, **more})
    assert answer.status == 200, answer.body
    return answer.json


async def test_what_nobody_has_written_is_listed_as_built_in(api: Client) -> None:
    listed = (await api.get("/v1/templates")).json

    [built_in] = [one for one in listed if one["name"] == "first_touch"]
    assert (built_in["id"], built_in["version"], built_in["isUsed"]) == (None, 0, True)
    assert "{{ offer }}" in built_in["body"]


async def test_a_new_version_takes_the_place_of_the_older_one_and_both_are_kept(
    api: Client, node_database: Database
) -> None:
    text = a_text()

    first = await api.post("/v1/templates", text)
    second = await api.post("/v1/templates", {**text, "subject": "Good day"})

    assert (first.status, first.json["version"], second.json["version"]) == (201, 1, 2)
    listed = (await api.get("/v1/templates")).json
    assert [one for one in listed if one["name"] == text["name"]] == [second.json]
    shown = (await api.get(f"/v1/templates/{first.json['id']}")).json
    assert shown["template"] == first.json
    assert [one["version"] for one in shown["versions"]] == [2, 1]
    assert await audited(node_database, second.json["id"]) == ["template.changed"]
    assert (await api.get(f"/v1/templates/{uuid4()}")).problem["code"] == "template.not_found"


@pytest.mark.parametrize(
    ("over", "path", "words"),
    [
        ({"body": "Hi\n{{ first_name"}, "body", "line 2"),
        ({"subject": "Hi {{ frist_name }}"}, "subject", "'frist_name'"),
        ({"body": "{{ first_name|nothing }}"}, "body", "'nothing'"),
        ({"body": "My friend {{ first_name }},"}, "body", "first_name is not known"),
        ({"subject": "{{ full_name }}, a word"}, "subject", "full_name is not known"),
        ({"subject": " "}, "subject", "write a text"),
        ({**WHATSAPP, "whatsappTemplateId": ""}, "whatsappTemplateId", "name the template"),
        ({**WHATSAPP, "placeholders": ["a"]}, "parameters", "one text for each"),
        ({**WHATSAPP, "body": "x"}, "body", "write parameters instead"),
        ({"subject": "a\nb"}, "subject", "one line"),
        ({"channel": "sms"}, "channel", "use email or whatsapp"),
        ({"body": "{% for a in title %}x{% endfor %}"}, "body", "For is not for templates"),
        (
            {**WHATSAPP, "placeholders": ["a", "b"],
             "parameters": ["x", "{% if %}"]},
            "parameters[1]", "line 1",
        ),
    ],
)  # fmt: skip
async def test_what_is_wrong_names_the_place_in_the_template(
    api: Client, over: dict[str, Any], path: str, words: str
) -> None:
    text = a_text(**over)

    refused = await api.post("/v1/templates", text)
    tried = await api.post("/v1/templates/preview", {"template": text})

    assert (refused.status, refused.problem["code"]) == (422, "template.invalid")
    [field] = refused.problem["fields"]
    assert (field["path"], words in field["problem"]) == (path, True), field
    assert tried.problem["fields"] == [field]


async def test_a_preview_is_filled_and_checked_as_a_draft_is(api: Client, world: World) -> None:
    lead_id = str(await world.lead(email=f"{uuid4().hex}@acme.example", title=""))
    link = a_text(body="Look at https://elsewhere.example, {{ offer }}")

    sample = await preview(api, a_text())
    of_lead = await preview(api, a_text(), leadId=lead_id, offer="We plan routes.")
    lacking = await preview(api, a_text(subject="To the {{ title }}"), leadId=lead_id)
    refused = await preview(api, link)

    assert (sample["reason"], sample["subject"]) == ("", "Hello Ada")
    assert (of_lead["reason"], "We plan routes." in of_lead["body"]) == ("", True)
    assert (lacking["reason"], lacking["body"]) == ("value:title", "")
    assert refused["reason"] == "text:text.link"
    assert refused["problems"][0]["code"] == "text.link"


async def test_a_rep_reads_templates_but_writes_none_and_sees_no_lead_of_others(
    api: Client, world: World
) -> None:
    lead_id = str(await world.lead(email=f"{uuid4().hex}@acme.example"))
    await api.ask("PATCH", "/v1/team", {"salesRepSees": "own"})
    try:
        rep = await api.client_of("SALES_REP")
        written = await rep.post("/v1/templates", a_text())
        body = {"template": a_text(), "leadId": lead_id}
        foreign = await rep.post("/v1/templates/preview", body)
        own = await rep.post("/v1/templates/preview", {"template": a_text()})
    finally:
        await api.ask("PATCH", "/v1/team", {"salesRepSees": "all"})

    assert (written.status, foreign.status, own.status) == (403, 404, 200)
