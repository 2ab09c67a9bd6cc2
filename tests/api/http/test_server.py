"""The door: who may pass, what a body may be, how long things may take, what every answer bears."""

from collections.abc import AsyncIterator, Iterator
from io import StringIO

import aiohttp
import anyio
import msgspec
import pytest
import structlog
from blockbuster import BlockBuster
from hypothesis import HealthCheck, given, settings, strategies as st
from leadflood.api.application import listening
from leadflood.api.http.settings import Settings, warning_of
from leadflood.api.http.token_throttle import MOST_WRONG
from leadflood.app import Node
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.errors import Conflict
from leadflood.engine.obs import log as logs
from leadflood.engine.queue.switches import pause_stage, resume_stage

from tests.support.api import AS_OPERATOR, OPERATOR_TOKEN, Client, running_api

pytestmark = pytest.mark.pg
TOKEN = "correct horse battery staple"  # noqa: S105 - opens nothing but this test's own server
ANYWHERE = "0.0.0.0"  # noqa: S104 - to see it warned of

RAW_AUTH = f"Authorization: Bearer {OPERATOR_TOKEN}\r\n".encode()


@pytest.fixture
async def guarded(node: Node) -> AsyncIterator[Client]:
    async with running_api(node, token=TOKEN) as client:
        yield client


@pytest.fixture
def log_text(blockbuster: BlockBuster) -> Iterator[StringIO]:
    """What is logged; a trace reads the lines of code it shows."""
    for function in blockbuster.functions.values():
        function.can_block_in("structlog/processors.py", "__call__")
    stream = StringIO()
    logs.configure(logs.Settings(), stream)
    yield stream
    structlog.reset_defaults()


async def test_health_and_readiness_are_answered(api: Client) -> None:
    health, ready = await api.get("/health"), await api.get("/ready")

    assert (health.status, health.json) == (200, {"status": "ok"})
    assert ready.status == 200
    assert {check["name"]: check["ok"] for check in ready.json["checks"]} == {
        "database": True,
        "migrations": True,
        "secret": True,
        "stages": True,
    }


async def test_a_secret_that_is_another_under_a_node_makes_it_unready_and_is_told_within_a_beat(
    api: Client, node: Node, monkeypatch: pytest.MonkeyPatch, log_text: StringIO
) -> None:
    monkeypatch.setattr(node.storage.master_secrets, "_setting", "z" * 64)

    changed = await api.get("/ready")
    with anyio.fail_after(10):
        while "accounts.secret.in_danger" not in log_text.getvalue():
            await anyio.lowlevel.checkpoint()
    monkeypatch.undo()
    restored = await api.get("/ready")

    (finding,) = [check for check in changed.json["checks"] if not check["ok"]]
    assert (changed.status, finding["name"], restored.status) == (503, "secret", 200)
    assert "is another one now" in finding["detail"]


async def test_a_stage_that_cannot_commit_makes_the_node_unready_and_says_why(
    api: Client, node: Node
) -> None:
    committer = node.engine.runners["scoring.compute"].committer
    committer.stall_reason = "scoring.compute: disk full"
    try:
        ready = await api.get("/ready")
    finally:
        committer.stall_reason = None

    assert ready.status == 503
    assert ready.json["checks"][-1] == {
        "name": "stages",
        "ok": False,
        "detail": "scoring.compute: disk full",
    }


async def test_a_paused_stage_is_shown_and_keeps_the_node_ready(api: Client, node: Node) -> None:
    storage = node.storage
    await pause_stage(storage.db, storage.clock, "message.send", "ann", "test")
    await node.engine.switches.refresh()
    try:
        ready = await api.get("/ready")
    finally:
        await resume_stage(storage.db, "message.send")
        await node.engine.switches.refresh()

    assert ready.status == 200
    assert ready.json["checks"][-1]["detail"] == "paused: message.send"


async def test_metrics_count_each_stage_each_route_the_queue_and_the_loop(api: Client) -> None:
    await api.get("/health")

    answer = await api.get("/metrics")

    text = answer.body.decode()
    assert answer.headers["Content-Type"].startswith("text/plain")
    for name in (
        'leadflood_jobs_completed_total{stage="scoring.compute"}',
        'leadflood_jobs_in_flight{stage="message.send"}',
        'leadflood_channel_capacity{stage="message.send"}',
        'leadflood_work_seconds_bucket{le="+Inf",stage="scoring.compute"}',
        'leadflood_commit_batch_jobs_count{stage="scoring.compute"}',
        'leadflood_http_answers_total{route="GET /health",status="200"}',
        'leadflood_http_seconds_count{route="GET /health"}',
        'leadflood_actor_restarts_total{actor="timer"}',
        "leadflood_pool_connections_in_use",
        "leadflood_feed_lag_seconds",
        "leadflood_loop_lag_seconds_count",
    ):
        assert name in text, name


@pytest.mark.parametrize("host", [ANYWHERE, "::", "10.1.2.3", "leads.example"])
def test_listening_on_a_public_address_without_a_proxy_is_warned_of(host: str) -> None:
    assert "unencrypted" in warning_of(Settings(host=host))
    assert not warning_of(Settings(host=host, trusted_proxies=("10.0.0.1",)))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_loopback_is_not_warned_of(host: str) -> None:
    assert not warning_of(Settings(host=host))


async def test_a_port_that_is_taken_is_reported(node: Node, api: Client) -> None:
    port = int(api.address.rpartition(":")[2])

    with pytest.raises(Conflict, match=r"http\.port"):
        async with listening(node, Settings(port=port)):
            pass


@pytest.mark.parametrize(
    "header",
    ["", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN} "[:-2], "Bearer", "Bearer ", TOKEN],
)
@pytest.mark.parametrize("path", ["/metrics", "/v1/icps"])
async def test_a_wrong_operator_token_is_refused(guarded: Client, path: str, header: str) -> None:
    anonymous = guarded.holding("")

    refused = await anonymous.get(path, headers={"Authorization": header} if header else {})

    assert refused.status == 401
    assert refused.problem["code"].startswith("auth.credential.")
    assert refused.headers["WWW-Authenticate"].startswith("Bearer")
    assert TOKEN not in refused.body.decode()


async def test_guesses_of_the_operator_s_token_are_throttled_and_the_right_one_is_not(
    node: Node,
) -> None:
    async with running_api(node, token=TOKEN) as api:
        guesser = api.holding("a guess")
        statuses = [(await guesser.get("/v1/icps")).status for _ in range(MOST_WRONG)]
        throttled = await guesser.get("/v1/icps")
        knows = await api.get("/v1/icps")

    assert set(statuses) == {401}
    assert throttled.status == 429
    assert 1 <= int(throttled.headers["Retry-After"]) <= 60
    assert knows.status == 200


async def test_the_operator_s_token_is_accepted_and_health_needs_none(guarded: Client) -> None:
    anonymous = guarded.holding("")

    assert (await guarded.get("/v1/icps")).status == 200
    assert (await anonymous.get("/health")).status == 200
    assert (await anonymous.get("/u/no-token-of-ours")).status == 404


async def test_an_empty_credential_is_refused_when_no_token_is_set(node: Node) -> None:
    async with running_api(node, token="") as api:
        for header in ("Bearer ", "Bearer", ""):
            refused = await api.get("/v1/icps", headers={"Authorization": header})
            assert refused.status == 401


async def test_only_the_origins_in_the_settings_are_allowed(node: Node) -> None:
    ours, theirs = "https://app.example", "https://evil.example"
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x"}
    async with running_api(node, token=TOKEN, cors_origins=(ours,)) as api:
        may = await api.ask("OPTIONS", "/v1/leads", headers={"Origin": ours, **asks})
        may_not = await api.ask("OPTIONS", "/v1/leads", headers={"Origin": theirs, **asks})
        read = await api.get("/health", headers={"Origin": ours})
        refused = await api.holding("").get("/v1/icps", headers={"Origin": ours})

    assert may.status == 204
    assert may.headers["Access-Control-Allow-Origin"] == ours
    assert "Idempotency-Key" in may.headers["Access-Control-Allow-Headers"]
    assert may_not.status == 405
    assert "Access-Control-Allow-Origin" not in may_not.headers
    assert read.headers["Access-Control-Allow-Origin"] == ours
    assert refused.status == 401
    assert refused.headers["Access-Control-Allow-Origin"] == ours


async def test_a_request_id_is_kept_or_made_and_a_bad_one_replaced(api: Client) -> None:
    sent = await api.get("/health", headers={"X-Request-ID": "abc-1"})
    fresh = await api.get("/health")
    replaced = await api.get("/health", headers={"X-Request-ID": "a b\t<script>"})

    assert sent.headers["X-Request-ID"] == "abc-1"
    assert len(fresh.headers["X-Request-ID"]) == 36
    assert len(replaced.headers["X-Request-ID"]) == 36


async def test_every_answer_bears_the_safety_headers(api: Client) -> None:
    for answer in (await api.get("/health"), await api.get("/nowhere"), await api.get("/docs")):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Server"] == "leadflood"


async def test_an_unknown_route_and_a_wrong_method_are_problems(api: Client) -> None:
    nowhere, wrong = await api.get("/v1/nowhere"), await api.ask("DELETE", "/v1/leads")

    assert nowhere.problem["code"] == "http.not_found"
    assert wrong.status == 405
    assert wrong.problem["code"] == "http.method.refused"
    assert wrong.headers["Allow"] == "GET, HEAD, POST"


BAD_BODIES = {
    "empty": (b"", 422),
    "cut": (b'{"email": "a', 400),
    "deep array": (b"[" * 200_000, 422),
    "deep object": (b'{"optIn":' * 50_000, 422),
    "deep unknown": (b'{"x":' * 50_000, 422),
    "invalid utf-8": (b'{"email": "\xff\xfe"}', 400),
    "nul escaped": (b'{"email": "a\\u0000@b.example"}', 422),
    "nul raw": (b'{"email": "a\x00"}', 400),
    "lone surrogate": (b'{"email": "\\ud800"}', 400),
    "huge number": (b'{"companySize": 1e999}', 422),
    "huge integer": (b'{"email": "a@b.example", "companySize": ' + b"9" * 400 + b"}", 422),
    "wrong type": (b'{"email": 5}', 422),
    "unknown field": (b'{"e-mail": "a@b.example"}', 422),
    "two values": (b"{}{}", 400),
    "not an object": (b"[]", 422),
}


@pytest.mark.usefixtures("icp_id")
@pytest.mark.parametrize("name", BAD_BODIES)
async def test_a_bad_body_is_a_problem_of_the_caller(api: Client, name: str) -> None:
    raw, status = BAD_BODIES[name]

    refused = await api.post("/v1/leads", raw=raw)

    assert refused.status == status, refused.body
    assert refused.problem["code"]


async def test_an_unknown_field_is_named(api: Client) -> None:
    refused = await api.post("/v1/icps", {"name": "x", "target": {"title": ["COO"]}})

    assert refused.problem["fields"] == [
        {"path": "target.title", "problem": "Object contains unknown field `title`"}
    ]


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml", ""]
)
async def test_a_body_of_another_kind_is_refused(api: Client, content_type: str) -> None:
    refused = await api.post("/v1/leads", raw=b"{}", headers={"Content-Type": content_type})

    assert refused.status == 415


async def test_a_body_over_the_limit_is_refused_by_its_length_and_while_it_streams(
    api: Client,
) -> None:
    by_length = await api.post("/v1/leads", raw=b" " * 1_000_001)
    streamed = await stream(api, b" " * 65_536, 100)

    assert by_length.status == 413
    assert by_length.problem["code"] == "http.body.too_large"
    assert streamed.startswith(b"HTTP/1.1 413")


async def stream(api: Client, chunk: bytes, count: int) -> bytes:
    """Send a chunked body by hand; tell how the answer begins."""
    host, _, port = api.address.removeprefix("http://").partition(":")
    async with await anyio.connect_tcp(host, int(port)) as socket:
        head = b"POST /v1/leads HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        await socket.send(head + RAW_AUTH + b"Transfer-Encoding: chunked\r\n\r\n")
        try:
            for _ in range(count):
                await socket.send(b"%x\r\n" % len(chunk) + chunk + b"\r\n")
        except anyio.BrokenResourceError:
            pass
        with anyio.fail_after(5):
            return await socket.receive()


async def test_a_client_that_sends_its_body_too_slowly_is_disconnected(node: Node) -> None:
    async with running_api(node, read_seconds=0.05) as api:
        host, _, port = api.address.removeprefix("http://").partition(":")
        async with await anyio.connect_tcp(host, int(port)) as socket:
            await socket.send(
                b"POST /v1/leads HTTP/1.1\r\nHost: localhost\r\n"
                + RAW_AUTH
                + b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
            )
            with anyio.fail_after(5):
                answer = await socket.receive()

    assert answer.startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize("head", [b"", b"GET /health HTTP/1.1\r\nHost: local"])
async def test_a_connection_without_a_request_is_closed(node: Node, head: bytes) -> None:
    async with running_api(node, idle_seconds=0.1) as api:
        host, _, port = api.address.removeprefix("http://").partition(":")
        async with await anyio.connect_tcp(host, int(port)) as socket:
            if head:
                await socket.send(head)
            with anyio.fail_after(5), pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await socket.receive()


async def test_a_slow_answer_is_not_taken_for_an_idle_connection(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow(*_: object) -> list[object]:
        await REAL_TIME.sleep(0.5)
        return []

    monkeypatch.setattr(node.storage.icps, "list_latest", slow)
    async with running_api(node, idle_seconds=0.1) as api:
        assert (await api.get("/v1/icps")).status == 200


async def test_an_answer_that_takes_too_long_is_a_timeout_problem(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> None:
        await anyio.sleep_forever()

    monkeypatch.setattr(node.storage.icps, "list_latest", never)
    async with running_api(node, request_seconds=0.05) as api:
        late = await api.get("/v1/icps")

    assert late.status == 503
    assert late.problem["code"] == "http.timeout"
    assert late.headers["Retry-After"] == "1"


async def test_an_unknown_or_doubled_parameter_is_refused(api: Client) -> None:
    unknown = await api.get("/v1/icps?limits=3")
    doubled = await api.get("/v1/icps?limit=3&limit=4")
    too_many = await api.get("/v1/icps?limit=100000")
    none_taken = await api.get("/ready?x=1")

    assert unknown.problem["fields"][0]["path"] == "limits"
    assert doubled.problem["code"] == "http.query.doubled"
    assert too_many.problem["fields"][0]["path"] == "limit"
    assert none_taken.status == 422


async def test_a_bug_is_answered_without_its_text_and_logged_with_the_request_s_id(
    api: Client, node: Node, monkeypatch: pytest.MonkeyPatch, log_text: StringIO
) -> None:
    async def broken(*_: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(node.storage.icps, "list_latest", broken)

    failed = await api.get("/v1/icps", headers={"X-Request-ID": "find-me"})

    assert failed.status == 500
    assert failed.problem["code"] == "engine.bug"
    assert "secret" not in failed.body.decode()
    assert "find-me" in log_text.getvalue()
    assert "ZeroDivisionError" in log_text.getvalue()


async def test_stopping_accepts_nothing_new_and_finishes_what_is_being_answered(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, may_end = anyio.Event(), anyio.Event()
    statuses: list[int] = []

    async def slow(*_: object) -> list[object]:
        started.set()
        await may_end.wait()
        return []

    async def ask(address: str, session: aiohttp.ClientSession) -> None:
        async with session.get(f"{address}/v1/icps") as response:
            statuses.append(response.status)

    async def release_when_closed(address: str) -> None:
        while await accepts(address):
            pass
        may_end.set()

    monkeypatch.setattr(node.storage.icps, "list_latest", slow)
    with anyio.fail_after(10):
        async with (
            aiohttp.ClientSession(headers=AS_OPERATOR) as session,
            anyio.create_task_group() as group,
            listening(node, Settings(port=0, token=OPERATOR_TOKEN)) as address,
        ):
            group.start_soon(ask, address, session)
            await started.wait()
            group.start_soon(release_when_closed, address)

    assert statuses == [200]


async def accepts(address: str) -> bool:
    host, _, port = address.removeprefix("http://").partition(":")
    try:
        await (await anyio.connect_tcp(host, int(port))).aclose()
    except OSError:
        return False
    return True


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
NAMES = st.sampled_from(
    ["email", "fullName", "companySize", "optIn", "icpId", "sends", "capMicros", "phone", "x"]
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(body=st.dictionaries(NAMES, VALUES, max_size=5) | VALUES)
@pytest.mark.usefixtures("icp_id")
async def test_no_body_is_a_bug(api: Client, body: object) -> None:
    answer = await api.post("/v1/leads", raw=msgspec.json.encode(body))

    assert answer.status in {201, 400, 404, 409, 422}, answer.body
