"""Who may ask what: every route, every role, every credential that is none.

The two tables below are written by hand and say what is meant; the routing table says what is. A
new route needs its line here. `pytest -s tests/api/test_access_matrix.py -k printed` shows it all.
"""

import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Iterator
from http import HTTPStatus
from typing import Any
from uuid import UUID, uuid4

import anyio
import jwt
import msgspec
import pytest
from leadflood.api.http.answer_rights import find_readers
from leadflood.api.http.field_rights import list_guarded_fields, list_hidden_fields
from leadflood.api.http.openapi import describe
from leadflood.api.http.routing import Route, Signature
from leadflood.api.routes import list_routes
from leadflood.app import Node
from leadflood.domain.auth.rules.access_tokens import SigningKey
from leadflood.domain.auth.schemas.roles import PERMISSIONS, Permission, Role

from tests.support.api import Answer, Client
from tests.support.routes import REACHED, path_of, seal_routes, serving

pytestmark = pytest.mark.pg
ADMIN, MANAGER, REP, ANALYST, VIEWER = "ADMIN", "MANAGER", "SALES_REP", "ANALYST", "VIEWER"
ALL = {ADMIN, MANAGER, REP, ANALYST, VIEWER}
ROLES: dict[str, set[str]] = {
    "self": ALL,
    "leads:read": ALL,
    "leads:write": {ADMIN, MANAGER, REP},
    "leads:delete": {ADMIN, MANAGER},
    "leads:export": {ADMIN, MANAGER, ANALYST},
    "leads:import": {ADMIN, MANAGER, REP},
    "icps:read": ALL,
    "icps:write": {ADMIN, MANAGER},
    "discovery:read": ALL,
    "discovery:write": {ADMIN, MANAGER, REP},
    "messages:read": ALL,
    "messages:write": {ADMIN, MANAGER, REP},
    "messages:approve": {ADMIN, MANAGER, REP},
    "messages:send": {ADMIN, MANAGER, REP},
    "messages:again": {ADMIN, MANAGER, REP},
    "templates:write": {ADMIN, MANAGER},
    "suppressions:lift": {ADMIN},
    "jobs:read": ALL,
    "events:read": ALL,
    "analytics:read": {ADMIN, MANAGER, ANALYST},
    "users:read": {ADMIN, MANAGER},
    "users:write": {ADMIN},
    "audit:read": {ADMIN},
    "budget:write": {ADMIN, MANAGER},
    "settings:read": {ADMIN, MANAGER},
    "settings:write": {ADMIN},
    "system:read": {ADMIN, MANAGER},
    "admin:read": {ADMIN, MANAGER},
    "admin:write": {ADMIN},
}
REFUSED = {401, 429}
"""Whoever guesses at the operator's token is slowed down after a while."""
OPEN = "open"
ROUTES: dict[str, str] = {
    "GET /health": OPEN,
    "GET /u/{token}": OPEN,
    "POST /u/{token}": OPEN,
    "POST /v1/auth/login": OPEN,
    "POST /v1/auth/refresh": OPEN,
    "POST /v1/auth/claim": OPEN,
    "POST /v1/auth/register": OPEN,
    "POST /v1/auth/logout": "self",
    "GET /v1/auth/me": "self",
    "GET /v1/auth/sessions": "self",
    "DELETE /v1/auth/sessions": "self",
    "DELETE /v1/auth/sessions/{sessionId}": "self",
    "PUT /v1/auth/password": "self",
    "POST /v1/auth/proof": "self",
    "POST /v1/auth/totp": "self",
    "POST /v1/auth/totp/verification": "self",
    "DELETE /v1/auth/totp": "self",
    "POST /v1/auth/recovery-codes": "self",
    "GET /claim/{token}": OPEN,
    "POST /claim/{token}": OPEN,
    "GET /register/{token}": OPEN,
    "POST /register/{token}": OPEN,
    "POST /v1/users": "users:write",
    "GET /v1/users": "users:read",
    "GET /v1/users/{userId}": "users:read",
    "PATCH /v1/users/{userId}": "users:write",
    "DELETE /v1/users/{userId}": "users:write",
    "POST /v1/users/{userId}/invitation": "users:write",
    "POST /v1/users/{userId}/password-reset": "users:write",
    "DELETE /v1/users/{userId}/sessions": "users:write",
    "POST /v1/admin/signing-keys": "admin:write",
    "GET /v1/team": "settings:read",
    "PATCH /v1/team": "settings:write",
    "POST /v1/api-keys": "self",
    "GET /v1/api-keys": "self",
    "DELETE /v1/api-keys/{keyId}": "self",
    "GET /ready": OPEN,
    "GET /metrics": "system:read",
    "POST /v1/icps": "icps:write",
    "GET /v1/icps": "icps:read",
    "GET /v1/icps/{icpId}": "icps:read",
    "PUT /v1/icps/{icpId}": "icps:write",
    "DELETE /v1/icps/{icpId}": "icps:write",
    "DELETE /v1/icps/{icpId}/archival": "icps:write",
    "GET /v1/icps/{icpId}/versions": "icps:read",
    "GET /v1/icps/{icpId}/versions/{version}": "icps:read",
    "GET /v1/icps/{icpId}/rules": "icps:read",
    "PUT /v1/icps/{icpId}/rules": "icps:write",
    "POST /v1/icps/{icpId}/rules": "icps:write",
    "PATCH /v1/icps/{icpId}/rules/{position}": "icps:write",
    "DELETE /v1/icps/{icpId}/rules/{position}": "icps:write",
    "POST /v1/icps/preview": "leads:read",
    "POST /v1/icps/{icpId}/preview": "leads:read",
    "POST /v1/icps/{icpId}/search": "discovery:write",
    "GET /v1/icps/{icpId}/search-runs": "discovery:read",
    "GET /v1/icps/{icpId}/search-runs/{runId}": "discovery:read",
    "GET /v1/leads": "leads:read",
    "GET /v1/leads/{leadId}/timeline": "leads:read",
    "GET /v1/leads/export": "leads:export",
    "GET /v1/companies": "leads:read",
    "POST /v1/companies": "leads:write",
    "GET /v1/companies/{companyId}": "leads:read",
    "PATCH /v1/companies/{companyId}": "leads:write",
    "DELETE /v1/companies/{companyId}": "leads:delete",
    "GET /v1/activities": "leads:read",
    "GET /v1/leads/{leadId}/activities": "leads:read",
    "POST /v1/leads/{leadId}/activities": "leads:write",
    "PATCH /v1/activities/{activityId}": "leads:write",
    "DELETE /v1/activities/{activityId}": "leads:write",
    "POST /v1/leads": "leads:write",
    "GET /v1/leads/{leadId}": "leads:read",
    "PATCH /v1/leads/{leadId}": "leads:write",
    "DELETE /v1/leads/{leadId}": "leads:delete",
    "PUT /v1/leads/{leadId}/restoration": "leads:delete",
    "PUT /v1/leads/{leadId}/owner": "leads:write",
    "PUT /v1/leads/{leadId}/tags/{tag}": "leads:write",
    "DELETE /v1/leads/{leadId}/tags/{tag}": "leads:write",
    "GET /v1/deleted-leads": "leads:read",
    "GET /v1/tags": "leads:read",
    "POST /v1/leads/{leadId}/merge": "leads:write",
    "DELETE /v1/leads/{leadId}/merge": "leads:write",
    "POST /v1/leads/{leadId}/enrich": "leads:write",
    "POST /v1/leads/{leadId}/score": "leads:write",
    "POST /v1/leads/{leadId}/feedback": "leads:write",
    "GET /v1/leads/{leadId}/feedback": "leads:read",
    "POST /v1/leads/bulk": "leads:write",
    "GET /v1/bulk/{runId}": "leads:read",
    "PUT /v1/bulk/{runId}/cancellation": "leads:write",
    "POST /v1/bulk/{runId}/undo": "leads:write",
    "POST /v1/imports": "leads:import",
    "GET /v1/import-mappings": "leads:import",
    "POST /v1/import-mappings": "leads:import",
    "DELETE /v1/import-mappings/{mappingId}": "leads:import",
    "GET /v1/imports": "leads:import",
    "GET /v1/imports/{importId}": "leads:import",
    "PUT /v1/imports/{importId}/mapping": "leads:import",
    "POST /v1/imports/{importId}/preview": "leads:import",
    "POST /v1/imports/{importId}/start": "leads:import",
    "GET /v1/imports/{importId}/rows": "leads:import",
    "GET /v1/imports/{importId}/bad-rows.csv": "leads:import",
    "POST /v1/imports/{importId}/undo": "leads:import",
    "PUT /v1/import-mappings/{mappingId}": "leads:import",
    "POST /v1/imports/{importId}/suppressions/lift": "suppressions:lift",
    "POST /v1/discovery/runs": "discovery:write",
    "GET /v1/discovery/runs": "discovery:read",
    "GET /v1/discovery/runs/{runId}": "discovery:read",
    "PUT /v1/discovery/runs/{runId}/cancellation": "discovery:write",
    "POST /v1/discovery/runs/{runId}/inspect": "discovery:read",
    "GET /v1/jobs": "jobs:read",
    "GET /v1/jobs/{jobId}": "jobs:read",
    "GET /v1/runs": "jobs:read",
    "GET /v1/runs/{runId}": "jobs:read",
    "PUT /v1/runs/{runId}/cancellation": "discovery:write",
    "PATCH /v1/runs/{runId}/caps": "budget:write",
    "GET /v1/messages": "messages:read",
    "GET /v1/messages/{messageId}": "messages:read",
    "PATCH /v1/messages/{messageId}": "messages:write",
    "PUT /v1/messages/{messageId}/approval": "messages:approve messages:send",
    "PUT /v1/messages/{messageId}/rejection": "messages:approve",
    "POST /v1/messages/{messageId}/send": "messages:send",
    "PUT /v1/leads/{leadId}/opt-ins/{channel}": "leads:write",
    "DELETE /v1/leads/{leadId}/opt-ins/{channel}": "leads:write",
    "GET /v1/templates": "messages:read",
    "POST /v1/templates": "templates:write messages:send",
    "GET /v1/templates/{templateId}": "messages:read",
    "POST /v1/templates/preview": "messages:read",
    "GET /v1/duplicates": "leads:read",
    "POST /v1/duplicates/{duplicateId}/merge": "leads:write",
    "POST /v1/duplicates/{duplicateId}/different": "leads:write",
    "GET /v1/suppressions": "messages:read",
    "POST /v1/suppressions": "messages:write",
    "POST /v1/suppressions/bulk": "messages:write",
    "GET /v1/suppressions/export": "admin:read",
    "DELETE /v1/suppressions/{suppressionId}": "admin:write",
    "GET /v1/notifications": "self",
    "PUT /v1/notifications/read": "self",
    "PUT /v1/notifications/{notificationId}/read": "self",
    "GET /v1/admin/sending": "admin:read",
    "PUT /v1/admin/sending/hold": "admin:write",
    "DELETE /v1/admin/sending/hold": "admin:write",
    "GET /v1/admin/sending/unknown": "admin:read",
    "POST /v1/admin/sending/unknown-resolutions": "admin:write",
    "PUT /v1/admin/sending/unknown/{intentId}": "admin:write",
    "GET /v1/admin/tree": "admin:read",
    "GET /v1/admin/nodes": "admin:read",
    "GET /v1/admin/switches": "admin:read",
    "GET /v1/admin/stages": "admin:read",
    "PUT /v1/admin/stages/{stage}/pause": "admin:write",
    "DELETE /v1/admin/stages/{stage}/pause": "admin:write",
    "PUT /v1/admin/stages/{stage}/drain": "admin:write",
    "GET /v1/admin/stages/{stage}/drain": "admin:read",
    "DELETE /v1/admin/stages/{stage}/drain": "admin:write",
    "PUT /v1/admin/stages/{stage}/concurrency": "admin:write",
    "DELETE /v1/admin/stages/{stage}/concurrency": "admin:write",
    "GET /v1/admin/providers": "admin:read",
    "GET /v1/admin/providers/{provider}": "admin:read",
    "PATCH /v1/admin/providers/{provider}": "admin:write",
    "PUT /v1/admin/providers/{provider}/stop": "admin:write",
    "DELETE /v1/admin/providers/{provider}/stop": "admin:write",
    "POST /v1/admin/providers/{provider}/breaker-reset": "admin:write",
    "GET /v1/admin/budget": "admin:read",
    "PATCH /v1/admin/budget": "admin:write",
    "GET /v1/audit": "audit:read",
    "GET /v1/audit/export": "audit:read",
    "GET /v1/admin/settings": "admin:read",
    "GET /v1/admin/statistics": "admin:read",
    "GET /v1/admin/dead-letters": "admin:read",
    "GET /v1/admin/dead-letters/{letterId}": "admin:read",
    "DELETE /v1/admin/dead-letters/{letterId}": "admin:write",
    "POST /v1/admin/dead-letter-replays": "admin:write",
    "POST /v1/admin/dead-letter-discards": "admin:write",
    "POST /v1/admin/jobs/{jobId}/bury": "admin:write",
    "GET /v1/events": "events:read",
    "POST /v1/events/tickets": "events:read",
    "GET /openapi.json": OPEN,
    "GET /docs": OPEN,
    "GET /docs/{asset}": OPEN,
}
AGAIN = "true needs messages:again"
SENDS = "go needs messages:send"
RUN_CAP = "without budget:write it is lowered to budget.run_micros"
LEAD_CAP = "without budget:write it is lowered to budget.lead_micros"
MAX_LEADS = "at most 1,000 for SALES_REP, 100,000 for MANAGER"
GRANT = "needs all that the role allows; ADMIN no API key may give"
SEARCH = {
    "maxLeads": MAX_LEADS,
    "sends": SENDS,
    "capMicros": RUN_CAP,
    "leadCapMicros": LEAD_CAP,
}
FIELDS: dict[str, dict[str, str]] = {
    "POST /v1/users": {"role": GRANT},
    "PATCH /v1/users/{userId}": {"role": GRANT},
    "POST /v1/users/{userId}/password-reset": {
        "removesTotp": "true is refused to API keys: log in as a person"
    },
    "POST /v1/icps": {"autopilot": "high needs messages:send"},
    "PUT /v1/icps/{icpId}": {"autopilot": "high needs messages:send"},
    "POST /v1/icps/{icpId}/search": SEARCH,
    "POST /v1/discovery/runs": SEARCH,
    "POST /v1/leads": {"sends": SENDS, "capMicros": RUN_CAP},
    "POST /v1/leads/{leadId}/enrich": {"sends": SENDS, "capMicros": RUN_CAP, "again": AGAIN},
    "POST /v1/leads/{leadId}/score": {"again": AGAIN},
    "POST /v1/leads/bulk": {
        "filter": "needs leads:read",
        "preview": "true needs leads:read",
        "sends": SENDS,
        "capMicros": RUN_CAP,
    },
    "POST /v1/suppressions": {
        "kind": "channel needs admin:write",
        "value": "a public suffix or a mail provider's domain needs admin:write",
    },
    "PATCH /v1/runs/{runId}/caps": dict.fromkeys(
        ("capMicros", "leadCapMicros"), "needs budget:write"
    ),
    "PUT /v1/imports/{importId}/mapping": {
        "onDuplicate": "update needs leads:write",
        "sends": SENDS,
        "capMicros": RUN_CAP,
    },
    "PUT /v1/import-mappings/{mappingId}": {
        "mapping.onDuplicate": "update needs leads:write",
        "mapping.sends": SENDS,
        "mapping.capMicros": RUN_CAP,
    },
}
"""What fields of a request, or some of their values, need beside the route's permission."""
ANSWERS: dict[str, dict[str, str]] = {
    "GET /v1/leads/{leadId}": {
        "messages": "needs messages:read",
        "messages[].toAddress": "needs leads:read",
        "messages[].intentDetail": "needs leads:read",
        "score.contributions": "needs icps:read",
        "score.trace": "needs icps:read",
        "score.explanation": "needs icps:read",
        "score.needs": "needs icps:read",
    },
    "POST /v1/discovery/runs/{runId}/inspect": {
        "records[].leadId": "needs leads:read",
        "records[].said": "needs leads:read",
    },
    "GET /v1/messages": {
        "data[].toAddress": "needs leads:read",
        "data[].intentDetail": "needs leads:read",
    },
    "GET /v1/messages/{messageId}": {
        "message.toAddress": "needs leads:read",
        "message.intentDetail": "needs leads:read",
        "facts": "needs leads:read",
    },
    **{
        name: {"waits[].reason": "needs leads:read"}
        for name in (
            "GET /v1/runs/{runId}",
            "GET /v1/discovery/runs/{runId}",
            "GET /v1/icps/{icpId}/search-runs/{runId}",
        )
    },
    **{
        name: {"toAddress": "needs leads:read", "intentDetail": "needs leads:read"}
        for name in (
            "PATCH /v1/messages/{messageId}",
            "PUT /v1/messages/{messageId}/approval",
            "PUT /v1/messages/{messageId}/rejection",
            "POST /v1/messages/{messageId}/send",
        )
    },
    **{
        name: {"owner": "needs leads:read", "tags": "needs leads:read"}
        for name in (
            "PUT /v1/leads/{leadId}/restoration",
            "PUT /v1/leads/{leadId}/owner",
            "PUT /v1/leads/{leadId}/tags/{tag}",
            "DELETE /v1/leads/{leadId}/tags/{tag}",
        )
    },
}
"""Fields of answers that are left out for who lacks a permission."""
READERS: dict[str, str] = {
    "PATCH /v1/users/{userId}": "users:read",
    "DELETE /v1/users/{userId}": "users:read",
    "PATCH /v1/team": "settings:read",
    "POST /v1/icps": "icps:read",
    "PUT /v1/icps/{icpId}": "icps:read",
    "DELETE /v1/icps/{icpId}/archival": "icps:read",
    "PUT /v1/icps/{icpId}/rules": "icps:read",
    "POST /v1/icps/{icpId}/rules": "icps:read",
    "PATCH /v1/icps/{icpId}/rules/{position}": "icps:read",
    "DELETE /v1/icps/{icpId}/rules/{position}": "icps:read",
    "POST /v1/companies": "leads:read",
    "PATCH /v1/companies/{companyId}": "leads:read",
    "POST /v1/leads/{leadId}/activities": "leads:read",
    "PATCH /v1/activities/{activityId}": "leads:read",
    "PATCH /v1/leads/{leadId}": "leads:read",
    "PUT /v1/bulk/{runId}/cancellation": "leads:read",
    "PATCH /v1/messages/{messageId}": "messages:read",
    "PUT /v1/messages/{messageId}/approval": "messages:read",
    "PUT /v1/messages/{messageId}/rejection": "messages:read",
    "POST /v1/messages/{messageId}/send": "messages:read",
    "POST /v1/templates": "messages:read",
    "POST /v1/suppressions": "messages:read",
}
"""What the whole answer of a change needs besides; without it only ids and version are shown."""
DANGEROUS = {
    "autopilot",
    "capMicros",
    "leadCapMicros",
    "maxLeads",
    "onDuplicate",
    "removesTotp",
    "role",
    "sends",
}
"""Fields that send, spend, overwrite or grant, in whichever request they stand."""
HARMLESS = {"POST /v1/icps/preview autopilot"}
"""It saves nothing."""


@pytest.fixture(scope="module")
def ran() -> list[str]:
    """The handlers that ran."""
    return []


@pytest.fixture(scope="module")
def table(ran: list[str]) -> list[Route]:
    return seal_routes(list_routes(), ran)


@pytest.fixture(scope="module")
async def fort(node: Node, table: list[Route]) -> AsyncIterator[Client]:
    """The whole table with its handlers sealed off, asked as the operator."""
    async with serving(node, table) as client:
        yield client


@pytest.fixture(scope="module")
async def people(api: Client) -> dict[str, Client]:
    """One of each role, logged in."""
    return {role: await api.client_of(role) for role in sorted(ALL)}


@pytest.fixture(autouse=True)
def nothing_ran(ran: list[str]) -> Iterator[None]:
    ran.clear()
    yield
    ran.clear()


def roles_with(need: str) -> set[str]:
    """The roles that have all of these permissions."""
    return set.intersection(*(ROLES[permission] for permission in need.split()))


def closed(table: list[Route]) -> list[Route]:
    return [route for route in table if not route.is_open]


async def ask_all(
    fort: Client, routes: list[Route], headers: Any, *, query: str = ""
) -> dict[str, Answer]:
    """Ask each route, some at a time."""
    answers: dict[str, Answer] = {}
    limiter = anyio.CapacityLimiter(8)

    async def ask(route: Route) -> None:
        async with limiter:
            url = fort.address + path_of(route) + query
            async with fort.session.request(route.method, url, headers=headers) as answer:
                answers[route.name] = Answer(answer.status, answer.headers, await answer.read())

    async with anyio.create_task_group() as group:
        for route in routes:
            group.start_soon(ask, route)
    return answers


def test_every_route_is_in_the_table_with_what_it_needs(table: list[Route]) -> None:
    needs = {route.name: " ".join(route.permissions) or OPEN for route in table}

    assert needs == ROUTES


def test_no_route_is_open_by_oversight(table: list[Route]) -> None:
    for route in table:
        assert route.is_open != bool(route.permission), route.name


def test_each_role_may_what_is_meant() -> None:
    assert {permission.value for permission in Permission} == set(ROLES)
    for role in Role:
        meant = {permission for permission, roles in ROLES.items() if role.value in roles}
        assert {permission.value for permission in PERMISSIONS[role]} == meant, role


async def test_each_role_is_let_in_where_it_may_and_nowhere_else(
    fort: Client, table: list[Route], people: dict[str, Client], ran: list[str]
) -> None:
    for role, client in people.items():
        ran.clear()
        answers = await ask_all(fort, closed(table), client.auth)
        let_in = {name for name, answer in answers.items() if answer.status != 403}
        meant = {name for name, need in ROUTES.items() if need != OPEN and role in roles_with(need)}

        assert let_in == meant, role
        assert set(ran) <= meant
        assert all(answer.status != 401 for answer in answers.values())


def test_each_field_with_a_right_is_in_the_table(table: list[Route]) -> None:
    rights = {
        route.name: {field.name: field.right.text for field in list_guarded_fields(body)}
        for route in table
        if (body := Signature.of(route).body) is not None
    }

    assert {name: fields for name, fields in rights.items() if fields} == FIELDS


def test_each_part_of_an_answer_with_a_right_is_in_the_table(table: list[Route]) -> None:
    rights = {
        route.name: {field.name: field.right.text for field in fields}
        for route in table
        if (fields := list_hidden_fields(Signature.of(route).answer))
    }

    assert rights == ANSWERS
    assert find_readers(table) == READERS


def test_no_field_that_sends_spends_overwrites_or_grants_is_free(table: list[Route]) -> None:
    for route in table:
        names = names_within(Signature.of(route).body)
        free = (names & DANGEROUS) - FIELDS.get(route.name, {}).keys()
        assert {f"{route.name} {name}" for name in free} <= HARMLESS


def names_within(kind: Any) -> set[str]:
    """The names on the wire of a body's own fields."""
    is_struct = isinstance(kind, type) and issubclass(kind, msgspec.Struct)
    return {field.encode_name for field in msgspec.structs.fields(kind)} if is_struct else set()


def test_rights_on_fields_are_shown_in_the_contract(table: list[Route]) -> None:
    schemas = describe(table)["components"]["schemas"]

    for name in ("DiscoveryBody", "NewLead", "BulkBody", "ImportMapping"):
        assert "messages:send" in str(schemas[name]["properties"]["sends"]["x-right"])
        assert RUN_CAP in str(schemas[name]["properties"]["capMicros"])


def test_the_table_is_printed() -> None:
    for name, need in ROUTES.items():
        roles = "everybody" if need == OPEN else " ".join(sorted(roles_with(need)))
        print(f"{name:60} {need:32} {roles}")  # noqa: T201 - this is what it is for
        for field, right in FIELDS.get(name, {}).items():
            print(f"    {field:56} {right}")  # noqa: T201 - same
        for field, right in ANSWERS.get(name, {}).items():
            print(f"    answer: {field:48} {right}")  # noqa: T201 - same
        if name in READERS:
            print(f"    answer: {'all but ids and version':48} needs {READERS[name]}")  # noqa: T201 - same


async def test_an_open_route_asks_for_nothing(fort: Client, table: list[Route]) -> None:
    routes = [route for route in table if route.is_open]

    answers = await ask_all(fort, routes, {})

    assert not {401, 403} & {answer.status for answer in answers.values()}


def claims_of(token: str) -> dict[str, Any]:
    return dict(msgspec.json.decode(b64(token.split(".")[1])))


def b64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def part(value: object) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(value)).rstrip(b"=").decode()


def signed(header: object, claims: object, secret: bytes, digest: str = "sha256") -> str:
    """Sign whatever is given, as no library would."""
    text = f"{part(header)}.{part(claims)}"
    mark = hmac.new(secret, text.encode(), getattr(hashlib, digest)).digest()
    return f"{text}.{base64.urlsafe_b64encode(mark).rstrip(b'=').decode()}"


def forged(token: str, key: SigningKey) -> dict[str, str]:
    """Tokens that look like ours: most are signed with our very key, and still none is."""
    head, body, mark = token.split(".")
    header, claims = dict(msgspec.json.decode(b64(head))), claims_of(token)
    day = 86_400

    def ours(header_over: object = None, **over: Any) -> str:
        new = {**header, **header_over} if isinstance(header_over, dict) else header
        kept = {name: value for name, value in {**claims, **over}.items() if value is not ...}
        return signed(new, kept, key.secret)

    without_kid = {name: value for name, value in header.items() if name != "kid"}
    rsa_like = {**header, "alg": "RS256"}
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    loose = last[(last.index(mark[-1]) & ~3) | ((last.index(mark[-1]) + 1) & 3)]
    names = {f"alg {alg!r}": alg for alg in ("none", "None", "NONE", "nOnE", "", "hs256")}
    return {
        **{f"{name}, unsigned": f"{part({**header, 'alg': alg})}.{body}."
           for name, alg in names.items()},
        **{f"{name}, signed": ours({"alg": alg}) for name, alg in names.items()},
        "no alg": signed({n: v for n, v in header.items() if n != "alg"}, claims, key.secret),
        "alg a list": ours({"alg": ["HS256", "none"]}),
        "HS512": signed({**header, "alg": "HS512"}, claims, key.secret, "sha512"),
        "HS384": signed({**header, "alg": "HS384"}, claims, key.secret, "sha384"),
        "RS256, signed as HS256": signed(rsa_like, claims, key.secret),
        "ES256, signed as HS256": ours({"alg": "ES256"}),
        "signed with nothing": signed(header, claims, b""),
        "signed with its kid": signed(header, claims, key.kid.encode()),
        "signed with 'secret'": signed(header, claims, b"secret"),
        "signed with another key": signed(header, claims, b"k" * 32),
        "wrong signature": f"{head}.{body}.{'A' if mark[0] != 'A' else 'B'}{mark[1:]}",
        "cut signature": f"{head}.{body}.{mark[:-4]}",
        "no signature": f"{head}.{body}.",
        "two parts": f"{head}.{body}",
        "four parts": f"{token}.{mark}",
        "five parts, as if encrypted": f"{token}.{body}.{mark}",
        "another's claims": f"{head}.{part({**claims, 'sub': str(uuid4())})}.{mark}",
        "kid a path": ours({"kid": "../../../../dev/null"}),
        "kid SQL": ours({"kid": "' OR 1=1 --"}),
        "kid with NUL": ours({"kid": f"{key.kid}\x00"}),
        "kid unknown": ours({"kid": "0" * len(key.kid)}),
        "kid unknown, signed with nothing": signed({**header, "kid": "x"}, claims, b""),
        "kid a URL": ours({"kid": "https://evil.example/jwks.json"}),
        "kid empty": ours({"kid": ""}),
        "kid null": ours({"kid": None}),
        "kid a list": ours({"kid": [key.kid]}),
        "kid long": ours({"kid": key.kid * 100}),
        "no kid": signed(without_kid, claims, key.secret),
        "jku": ours({"jku": "https://evil.example/jwks.json"}),
        "jwk": ours({"jwk": {"kty": "oct", "k": "AAAA"}}),
        "x5u": ours({"x5u": "https://evil.example/cert"}),
        "crit": ours({"crit": ["exp"]}),
        "b64 false": ours({"b64": False, "crit": ["b64"]}),
        "typ of an identity": ours({"typ": "JWT"}),
        "typ of refreshing": ours({"typ": "rt+jwt"}),
        "expired": ours(exp=claims["iat"] - 60, iat=claims["iat"] - 960),
        "of tomorrow": ours(iat=claims["iat"] + day, exp=claims["exp"] + day),
        "expires never": ours(exp=...),
        "expires at a text": ours(exp=str(claims["exp"])),
        "expires at a fraction": ours(exp=claims["exp"] + 0.5),
        "expires at infinity": ours(exp=1e999),
        "expires in a million years": ours(exp=10**14),
        "another issuer": ours(iss="evil"),
        "another audience": ours(aud="other-api"),
        "audiences": ours(aud=["leadflood-api"]),
        "no session": ours(sid=...),
        "another session": ours(sid=str(uuid4())),
        "another user": ours(sub=str(uuid4())),
        "nobody": ours(sub=str(UUID(int=0))),
        "user null": ours(sub=None),
        "a role of its own": ours(role="ADMIN"),
        "padded": f"{token}=",
        "padded parts": f"{head}=.{body}==.{mark}=",
        "loose bits": f"{token[:-1]}{loose}",
        "plain base64": f"{head}.{body}.{mark[:-1]}+",
        "a blank inside": f"{head}. {body}.{mark}",
        "a tab before it": f"\t{token}",
        "quoted": f'"{token}"',
        "twice": f"{token}, {token}",
        "twice as schemes": f"{token}, Bearer {token}",
        "upper case": token.upper(),
        "no JSON": f"{base64.urlsafe_b64encode(b'{').decode()}.{body}.{mark}",
        "empty parts": "..",
        "long": "ey" + "A" * 3_000,
        "not ASCII": "eyé",
    }  # fmt: skip


ON_EVERY_ROUTE = {
    "alg 'none', unsigned",
    "alg 'nOnE', unsigned",
    "wrong signature",
    "RS256, signed as HS256",
    "signed with nothing",
    "kid a path",
    "no kid",
    "expired",
}
"""What is tried on every route; the others on a ninth of them, each on others."""


async def test_a_token_that_is_not_exactly_ours_opens_no_route(
    fort: Client, table: list[Route], people: dict[str, Client], node: Node, ran: list[str]
) -> None:
    token = people[ADMIN].credential
    key = node.storage.accounts.use.signing_keys.newest()
    assert jwt.decode(token, key.secret, ["HS256"], audience="leadflood-api")
    routes = closed(table)

    for number, (name, forgery) in enumerate(forged(token, key).items()):
        some = routes if name in ON_EVERY_ROUTE else routes[number % 9 :: 9]
        answers = await ask_all(fort, some, {"Authorization": f"Bearer {forgery}"})
        assert {answer.status for answer in answers.values()} <= REFUSED, name
        assert all(answer.problem["code"] for answer in answers.values())

    assert not ran
    still = await fort.holding(token).get("/v1/auth/me")
    assert still.status == REACHED


async def test_no_route_is_reached_without_exactly_one_credential(
    fort: Client, table: list[Route], people: dict[str, Client], ran: list[str]
) -> None:
    token = people[ADMIN].credential
    routes = closed(table)
    basic = base64.b64encode(f"admin:{token}".encode()).decode()
    headers: dict[str, Any] = {
        "none": {},
        "empty": {"Authorization": ""},
        "a scheme alone": {"Authorization": "Bearer"},
        "a scheme and a blank": {"Authorization": "Bearer "},
        "no scheme": {"Authorization": token},
        "another scheme": {"Authorization": f"Token {token}"},
        "basic": {"Authorization": f"Basic {basic}"},
        "no blank": {"Authorization": f"Bearer{token}"},
        "two blanks": {"Authorization": f"Bearer  {token}"},
        "doubled": [("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}")],
        "doubled, one of them nothing": [
            ("Authorization", "x"),
            ("Authorization", f"Bearer {token}"),
        ],
        "in another header": {"X-Authorization": f"Bearer {token}", "X-Api-Key": token},
        "in a cookie": {"Cookie": f"access_token={token}; token={token}"},
    }

    for name, given in headers.items():
        answers = await ask_all(fort, routes, given)
        assert {answer.status for answer in answers.values()} <= REFUSED, name
        assert all(
            answer.headers["WWW-Authenticate"].startswith("Bearer ")
            for answer in answers.values()
            if answer.status == HTTPStatus.UNAUTHORIZED
        )
    by_query = await ask_all(fort, routes, {}, query=f"?access_token={token}&token={token}")

    assert {answer.status for answer in by_query.values()} == {401}
    assert not ran


async def test_who_is_over_is_let_in_nowhere(
    api: Client, fort: Client, table: list[Route], ran: list[str]
) -> None:
    over: dict[str, str] = {}
    one = await api.client_of(ADMIN)
    assert (await one.post("/v1/auth/logout")).status == 200
    over["a session that logged out"] = one.credential
    over["a refresh token"] = one.refresh_token
    one = await api.client_of(ADMIN)
    made = await one.post("/v1/api-keys", {"name": "k", "scopes": ["self", "leads:read"]})
    over["a key cut short"] = made.json["secret"][:-1]
    over["a key with another secret"] = made.json["secret"][:-4] + "AAAA"
    over["a key of nobody"] = f"lf_{uuid4().hex}_{made.json['secret'].split('_')[2]}"
    over["a key's id"] = made.json["key"]["id"]
    revoked = await one.post("/v1/api-keys", {"name": "r", "scopes": ["self"]})
    await one.ask("DELETE", f"/v1/api-keys/{revoked.json['key']['id']}")
    over["a revoked key"] = revoked.json["secret"]
    gone = await api.client_of(ADMIN)
    orphan = await gone.post("/v1/api-keys", {"name": "o", "scopes": ["self"]})
    assert (await api.ask("DELETE", f"/v1/users/{gone.user_id}")).status == 200
    over["a disabled user's session"] = gone.credential
    over["a disabled user's key"] = orphan.json["secret"]
    over["the operator's token and more"] = f"{api.credential}."
    over["a part of the operator's token"] = api.credential[:-1]

    for name, credential in over.items():
        routes = closed(table) if credential.startswith(("lf_", "ey")) else closed(table)[:3]
        answers = await ask_all(fort, routes, {"Authorization": f"Bearer {credential}"})
        assert {answer.status for answer in answers.values()} <= REFUSED, name

    assert not ran


async def test_a_key_opens_what_its_scopes_and_its_owner_s_role_both_allow(
    api: Client, fort: Client, table: list[Route]
) -> None:
    owner = await api.client_of(MANAGER)
    scopes = {"leads:read", "icps:write", "self"}
    made = await owner.post("/v1/api-keys", {"name": "k", "scopes": sorted(scopes)})
    too_much = await owner.post("/v1/api-keys", {"name": "k", "scopes": ["admin:write"]})
    as_key = {"Authorization": f"Bearer {made.json['secret']}"}

    before = await ask_all(fort, closed(table), as_key)
    lowered = await api.ask("PATCH", f"/v1/users/{owner.user_id}", {"role": VIEWER})
    after = await ask_all(fort, closed(table), as_key)

    assert too_much.status in {403, 422}
    assert lowered.status == 200
    for answers, role in ((before, MANAGER), (after, VIEWER)):
        let_in = {name for name, answer in answers.items() if answer.status != 403}
        meant = {
            name
            for name, need in ROUTES.items()
            if scopes.issuperset(need.split()) and role in roles_with(need)
        }
        assert let_in == meant
