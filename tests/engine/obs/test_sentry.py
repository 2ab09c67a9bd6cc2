from collections.abc import Iterator
from io import StringIO
from typing import Any

import msgspec
import pytest
import sentry_sdk.transport
import structlog
from leadflood.engine.obs import log as logs
from leadflood.engine.obs.log import log
from leadflood.engine.obs.sentry import Settings, reporting
from typing_extensions import override

PERSON = "ann@acme.example"
DSN = "https://public@sentry.example/1"


class Kept(sentry_sdk.transport.Transport):
    """Keeps what would be sent."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Any] = []

    @override
    def capture_envelope(self, envelope: Any) -> None:
        self.events.append(envelope.get_event())


@pytest.fixture
def output() -> Iterator[StringIO]:
    stream = StringIO()
    logs.configure(logs.Settings(), stream)
    yield stream
    structlog.reset_defaults()


def fail(email: str) -> None:
    raise ZeroDivisionError(f"no part of {email}")


def log_a_bug() -> None:
    try:
        fail(PERSON)
    except ZeroDivisionError as error:
        log.error("http.request.failed", requestId="r-1", exc_info=error)


def test_a_bug_is_reported_under_its_request_s_id_without_what_names_people(
    output: StringIO,
) -> None:
    transport = Kept()

    with reporting(Settings(dsn=DSN), transport):
        log_a_bug()
        log.error("http.request.refused", requestId="r-2")

    (event,) = transport.events
    assert event["tags"] == {"event": "http.request.failed", "requestId": "r-1"}
    assert event["exception"]["values"][0]["type"] == "ZeroDivisionError"
    assert PERSON not in msgspec.json.encode(event, enc_hook=str).decode()
    assert "r-1" in output.getvalue()


def test_without_a_dsn_nothing_is_reported(output: StringIO) -> None:
    with reporting(Settings()):
        log_a_bug()

    assert "ZeroDivisionError" in output.getvalue()
