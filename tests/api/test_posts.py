"""Every POST of the table, sent twice with one key: done once, answered the same."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from leadflood.api.routes import list_routes

from tests.api.routes.test_leads import a_lead
from tests.support.api import PASSWORD, Client

pytestmark = pytest.mark.pg
Sample = tuple[str, Any]
Make = Callable[[Client, str], Awaitable[Sample]]


def at(path: str, **body: Any) -> Make:
    """Ask a path as it stands."""

    async def make(_api: Client, icp_id: str) -> Sample:
        return path.replace("{icpId}", icp_id), body or None

    return make


def of_lead(what: str, **body: Any) -> Make:
    """Ask about a new lead."""

    async def make(api: Client, icp_id: str) -> Sample:
        made = await api.post("/v1/leads", a_lead(icp_id))
        return f"/v1/leads/{made.json['leadId']}/{what}", body

    return make


def of_user(what: str, *, registered: bool) -> Make:
    """Ask about a new user."""

    async def make(api: Client, _icp_id: str) -> Sample:
        if registered:
            user_id = (await api.client_of("VIEWER")).user_id
        else:
            user_id = (await api.post("/v1/users", a_user())).json["user"]["id"]
        return f"/v1/users/{user_id}/{what}", {} if registered else None

    return make


async def merged(api: Client, icp_id: str) -> Sample:
    one, other = [(await api.post("/v1/leads", a_lead(icp_id))).json["leadId"] for _ in range(2)]
    return f"/v1/leads/{one}/merge", {"intoId": other}


async def tagged(api: Client, icp_id: str) -> Sample:
    made = await api.post("/v1/leads", a_lead(icp_id))
    return "/v1/leads/bulk", {"action": "tag", "tag": "hot", "ids": [made.json["leadId"]]}


async def brought_in(_api: Client, icp_id: str) -> Sample:
    return "/v1/leads", a_lead(icp_id)


async def uploaded(_api: Client, _icp_id: str) -> Sample:
    return "/v1/imports", f"Email,Name\n{uuid4().hex}@acme.example,Ann\n".encode()


def a_user() -> dict[str, str]:
    return {"email": f"{uuid4().hex}@team.example", "role": "VIEWER"}


SAMPLES: dict[str, Make] = {
    "POST /v1/users": at("/v1/users", **a_user()),
    "POST /v1/users/{userId}/invitation": of_user("invitation", registered=False),
    "POST /v1/users/{userId}/password-reset": of_user("password-reset", registered=True),
    "POST /v1/admin/signing-keys": at("/v1/admin/signing-keys"),
    "POST /v1/api-keys": at("/v1/api-keys", name="k", scopes=["leads:read"]),
    "POST /v1/auth/totp": at("/v1/auth/totp"),
    "POST /v1/auth/proof": at("/v1/auth/proof", password=PASSWORD),
    "POST /v1/icps": at("/v1/icps", name="Another"),
    "POST /v1/icps/{icpId}/rules": at(
        "/v1/icps/{icpId}/rules", field="title", operator="EQ", value="COO"
    ),
    "POST /v1/icps/{icpId}/search": at("/v1/icps/{icpId}/search", maxLeads=3),
    "POST /v1/companies": at("/v1/companies", domain=f"c{uuid4().hex}.example"),
    "POST /v1/leads": brought_in,
    "POST /v1/leads/bulk": tagged,
    "POST /v1/leads/{leadId}/activities": of_lead("activities", kind="note", text="called"),
    "POST /v1/leads/{leadId}/merge": merged,
    "POST /v1/leads/{leadId}/enrich": of_lead("enrich"),
    "POST /v1/leads/{leadId}/score": of_lead("score"),
    "POST /v1/leads/{leadId}/feedback": of_lead("feedback", outcome="won"),
    "POST /v1/imports": uploaded,
    "POST /v1/discovery/runs": at("/v1/discovery/runs", maxLeads=4, sends="never"),
    "POST /v1/templates": at(
        "/v1/templates", name="later", channel="email", subject="Hello", body="Hi {{ first_name }}"
    ),
    "POST /v1/suppressions": at(
        "/v1/suppressions", kind="address", value="no@acme.example", reason="asked"
    ),
    "POST /v1/suppressions/bulk": at(
        "/v1/suppressions/bulk", items=[{"value": "no@bulk.example"}], reason="asked"
    ),
    "POST /v1/admin/providers/{provider}/breaker-reset": at(
        "/v1/admin/providers/apollo/breaker-reset"
    ),
    "POST /v1/admin/sending/unknown-resolutions": at(
        "/v1/admin/sending/unknown-resolutions", ids=[str(uuid4())], sent=True
    ),
    "POST /v1/admin/dead-letter-replays": at("/v1/admin/dead-letter-replays", ids=[str(uuid4())]),
    "POST /v1/admin/dead-letter-discards": at("/v1/admin/dead-letter-discards", ids=[str(uuid4())]),
    "POST /v1/events/tickets": at("/v1/events/tickets"),
}
ELSEWHERE = {
    "POST /v1/auth/login": "routes/test_auth.py",
    "POST /v1/auth/refresh": "routes/test_auth.py",
    "POST /v1/auth/claim": "routes/test_invitation_pages.py",
    "POST /v1/auth/register": "routes/test_invitation_pages.py",
    "POST /v1/auth/logout": "routes/test_auth.py",
    "POST /v1/auth/totp/verification": "routes/test_me.py",
    "POST /v1/auth/recovery-codes": "routes/test_me.py",
    "POST /v1/duplicates/{duplicateId}/merge": "routes/test_duplicates.py",
    "POST /v1/duplicates/{duplicateId}/different": "routes/test_duplicates.py",
    "POST /v1/bulk/{runId}/undo": "routes/test_bulk_actions.py",
    "POST /v1/import-mappings": "routes/test_import_mappings.py",
    "POST /v1/imports/{importId}/start": "routes/test_imports.py",
    "POST /v1/imports/{importId}/undo": "routes/test_imports.py",
    "POST /v1/imports/{importId}/suppressions/lift": "test_consent.py",
    "POST /v1/messages/{messageId}/send": "routes/test_messages.py",
    "POST /v1/admin/jobs/{jobId}/bury": "routes/test_admin_dead_letters.py",
}
"""What needs more than a body to be possible is tested there."""


@pytest.fixture(scope="module")
async def boss(api: Client) -> Client:
    """An administrator by a session: some routes are for persons only."""
    return await api.client_of("ADMIN")


def test_every_post_has_a_sample() -> None:
    keyed = {route.name for route in list_routes() if route.takes_key}

    assert keyed == set(SAMPLES) | set(ELSEWHERE)
    assert all((Path(__file__).parent / name).exists() for name in ELSEWHERE.values())


@pytest.mark.parametrize("name", SAMPLES)
async def test_a_post_sent_twice_with_one_key_is_done_once(
    boss: Client, icp_id: str, name: str
) -> None:
    path, body = await SAMPLES[name](boss, icp_id)
    raw = body if isinstance(body, bytes) else None
    headers = {"Idempotency-Key": uuid4().hex, **({"Content-Type": "text/csv"} if raw else {})}

    async def send() -> Any:
        return await boss.post(path, None if raw else body, raw=raw, headers=headers)

    first, second = await send(), await send()

    assert first.status in {200, 201, 202}, first.body
    assert (second.status, second.body) == (first.status, first.body)
