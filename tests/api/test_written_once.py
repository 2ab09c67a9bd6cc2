"""Nobody is written to twice: files, the API and buttons at a real node with a real mail server."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from leadflood.contracts.normalization.mailboxes import mailbox_key
from leadflood.domain.auth.schemas.roles import Role
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.db.pool import Settings, open_database

from tests.support.api import Client, running_api, running_node
from tests.support.db import TestServer, cloned_database
from tests.support.mail_server import Sink, mail_server

pytestmark = pytest.mark.pg
DATA = Path(__file__).parents[1] / "domain" / "imports" / "data" / "messy_leads"
MESSAGING: Mapping[str, Any] = {
    "sender_name": "Ann",
    "sender_address": "ann@ours.example",
    "postal_address": "1 Street",
    "held_retry_seconds": 0.05,
}
ICP: Mapping[str, Any] = {
    "name": "Anybody",
    "offer": "We halve purchasing time.",
    "autopilot": "high",
    "bands": {"medium": 0.1, "high": 0.2},
}


class Town:
    """An installation with a mail server: what it brings, and whom it wrote to."""

    def __init__(self, api: Client, sink: Sink) -> None:
        self.api = api
        self._sink = sink

    async def add_icp(self, name: str) -> str:
        answer = await self.api.post("/v1/icps", {**ICP, "name": name})
        assert answer.status == 201, answer.body
        return str(answer.json["id"])

    async def bring_file(self, file: str, word: str, icp_id: str, **mapping: Any) -> None:
        """Import a file whose leads are scored and written to."""
        raw = (DATA / f"{file}.csv").read_bytes().replace(b"t0", word.encode())
        staged = await self.api.ask(
            "POST",
            f"/v1/imports?name={file}.csv",
            raw=raw,
            headers={"Content-Type": "text/csv"},
        )
        assert staged.status == 201, staged.body
        path = f"/v1/imports/{staged.json['id']}"
        body = {"icpId": icp_id, "sends": "go", "providers": [], **mapping}
        mapped = await self.api.ask("PUT", f"{path}/mapping", body)
        assert mapped.status == 200, mapped.body
        started = await self.api.post(f"{path}/start")
        assert started.status == 202, started.body

    async def settle(self) -> None:
        """Wait until no run goes on."""
        with anyio.fail_after(30):
            while (await self.api.get("/v1/runs?state=running&limit=1")).json["data"]:
                await REAL_TIME.sleep(0.05)

    async def messages(self, word: str) -> list[Any]:
        """List the messages to addresses of a word, oldest first."""
        leads = (await self.api.get(f"/v1/leads?q={word}&limit=100")).json["data"]
        listed = [
            message
            for lead in leads
            for message in (await self.api.get(f"/v1/messages?leadId={lead['id']}")).json["data"]
        ]
        return sorted(listed, key=lambda message: message["id"])

    def mails(self, word: str) -> Counter[str]:
        """Count what arrived at each mailbox of a word."""
        recipients = [to for _, recipients, _ in self._sink.got for to in recipients]
        return Counter(mailbox_key(to) for to in recipients if word in to)


@pytest.fixture(autouse=True)
def blockbuster() -> None:
    """Allow blocking calls: a test here starts nodes, and their folders are made."""


@asynccontextmanager
async def open_town(
    database_settings: Settings, folder: Path, *, has_server: bool = True
) -> AsyncIterator[Town]:
    sink = Sink()
    async with mail_server(sink) as port, open_database(database_settings) as database:
        smtp = {"base_url": f"smtp://127.0.0.1:{port}", "extra": {"starttls": False}}
        providers = {"smtp": smtp} if has_server else {}
        settings = {"messaging": MESSAGING, "providers": providers}
        async with (
            running_node(database, database_settings, folder, **settings) as node,
            running_api(node) as api,
        ):
            yield Town(api, sink)


@pytest.fixture(scope="module")
async def town(
    database_server: TestServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Town]:
    async with (
        cloned_database(database_server) as settings,
        open_town(settings, tmp_path_factory.mktemp("town")) as opened,
    ):
        yield opened


@pytest.fixture(scope="module")
async def icps(town: Town) -> tuple[str, str]:
    return await town.add_icp("Anybody"), await town.add_icp("Anybody else")


async def test_a_file_imported_three_times_under_two_icps_writes_one_mail(
    town: Town, icps: tuple[str, str]
) -> None:
    for icp_id in (icps[0], icps[1], icps[0]):
        await town.bring_file("k02_same_file_again", "twice", icp_id)
    await town.settle()

    assert town.mails("k2a-twice") == {"re@k2a-twice.com": 1}


async def test_a_file_imported_again_later_ends_as_already_written(
    town: Town, icps: tuple[str, str]
) -> None:
    for icp_id in icps:
        await town.bring_file("k02_same_file_again", "later", icp_id)
        await town.settle()

    first, second = await town.messages("k2a-later")
    assert town.mails("k2a-later") == {"re@k2a-later.com": 1}
    assert (first["intentState"], second["state"]) == ("accepted", "already_written")
    assert second["earlierMessageId"] == first["id"]


async def test_a_role_mailbox_of_three_people_gets_one_mail(
    town: Town, icps: tuple[str, str]
) -> None:
    await town.bring_file("k03_role_mailbox", "role", icps[0], defaults={"email_status": "valid"})
    await town.settle()

    assert town.mails("k3h-role") == {"info@k3h-role.com": 1}


async def test_a_plus_tag_of_a_suppressed_mailbox_is_not_written_to(
    town: Town, icps: tuple[str, str]
) -> None:
    line = {"kind": "address", "value": "sup.one@k15a-no.com", "reason": "said no"}
    assert (await town.api.post("/v1/suppressions", line)).status == 201
    await town.bring_file("k15_plus_tag_after_suppress", "no", icps[0])
    await town.settle()

    [message] = await town.messages("k15a-no")
    assert town.mails("k15a-no") == {}
    assert (message["state"], message["reason"]) == ("suppressed", "suppressed")
    assert message["toAddress"] == "sup.one+tag@k15a-no.com"


async def test_a_person_asks_for_another_one_by_name_and_it_is_on_record(
    town: Town, icps: tuple[str, str]
) -> None:
    for _ in range(2):
        await town.bring_file("k02_same_file_again", "again", icps[0])
        await town.settle()
    first, declined = await town.messages("k2a-again")
    lead = f"/v1/leads/{first['leadId']}"
    boss = await town.api.client_of(Role.ADMIN)
    key = await boss.key_of("leads:read", "leads:write", "messages:read", "messages:send")

    plain = await boss.post(f"{lead}/score", {"icpId": icps[1]})
    denied = await key.post(f"{lead}/score", {"icpId": icps[0], "again": True})
    scored = await boss.post(f"{lead}/score", {"icpId": icps[0], "again": True})
    await town.settle()
    waiting = (await town.messages("k2a-again"))[-1]
    not_allowed = await key.post(f"/v1/messages/{waiting['id']}/send?again=true")
    sent = await boss.post(f"/v1/messages/{waiting['id']}/send?again=true")
    await town.settle()

    states = [message["state"] for message in await town.messages("k2a-again")]
    assert (plain.status, scored.status) == (202, 202)
    assert (denied.status, not_allowed.status) == (403, 403)
    assert states == ["approved", "already_written", "already_written", "approved"]
    assert declined["earlierMessageId"] == first["id"]
    assert sent.status == 200
    assert town.mails("k2a-again") == {"re@k2a-again.com": 2}
    actions = (await town.api.get("/v1/audit?limit=100")).json["data"]
    by_name = {act["action"]: act["detail"]["again"] for act in actions if "again" in act["detail"]}
    assert by_name == {"message.send_requested": True}
    assert "lead.again_requested" in {act["action"] for act in actions}


async def test_what_has_no_mail_server_waits_and_goes_after_a_start_with_one(
    database_server: TestServer, tmp_path: Path
) -> None:
    async with cloned_database(database_server) as settings:
        async with open_town(settings, tmp_path, has_server=False) as poor:
            await poor.bring_file("k02_same_file_again", "wait", await poor.add_icp("Anybody"))
            with anyio.fail_after(20):
                while not (waiting := await poor.messages("k2a-wait")):
                    await REAL_TIME.sleep(0.05)
        async with open_town(settings, tmp_path) as town:
            with anyio.fail_after(20):
                while (message := (await town.messages("k2a-wait"))[0])["intentState"] in {
                    "ready",
                    "sending",
                }:
                    await town.settle()
            arrived = town.mails("k2a-wait")

    assert (waiting[0]["intentState"], waiting[0]["intentCode"]) == ("ready", "waits_for_setup")
    assert waiting[0]["intentDetail"] == "set providers.smtp.base_url"
    assert message["intentState"] == "accepted"
    assert arrived == {"re@k2a-wait.com": 1}
