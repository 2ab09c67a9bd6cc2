"""The running server held against its own document: no 5xx, nothing that the document hides.

Each operation is asked a few times in the suite; `LEADFLOOD_TEST_EXAMPLES=200` asks more often.
"""

import os
from collections.abc import AsyncIterator
from contextlib import suppress
from http import HTTPStatus
from typing import Any, cast

import hypothesis
import pytest
import requests
import schemathesis
from anyio import to_thread
from leadflood.api.http.parser_errors import LINE_BYTES
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from tests.support.api import Client, running_installation
from tests.support.db import TestServer
from tests.support.routes import UNLIMITED

pytestmark = pytest.mark.pg
load_all_checks()
EXAMPLES = int(os.environ.get("LEADFLOOD_TEST_EXAMPLES", "2"))  # noqa: TID251 - of the tests only
MANY = 10
"""From so many on the examples are others each time."""
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
CALLED_SECONDS = 20.0
REJECTION: Any = CHECKS.get_by_names(["negative_data_rejection"])
ACCEPTANCE: Any = CHECKS.get_by_names(["positive_data_acceptance"])
SETTINGS = hypothesis.settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=EXAMPLES < MANY,
    suppress_health_check=list(hypothesis.HealthCheck),
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)


@pytest.fixture(scope="module")
async def alone(
    database_server: TestServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Client]:
    """A node of its own: what is asked here pauses stages and holds sending."""
    folder = tmp_path_factory.mktemp("alone")
    async with running_installation(database_server, folder, rates=UNLIMITED) as (_, client):
        yield client


async def test_every_operation_keeps_to_the_document(alone: Client) -> None:
    document = (await alone.get("/openapi.json")).json

    broken = await to_thread.run_sync(ask_everything, alone, document)

    assert not broken, "\n\n".join(broken)


def ask_everything(client: Client, document: dict[str, Any]) -> list[str]:
    """Ask each operation with what fits and with what does not; tell what broke."""
    schema = schemathesis.openapi.from_dict(document)
    broken = []
    for number, found in enumerate(schema.get_all_operations()):
        operation: Any = cast("Any", found).ok()
        for mode in MODES if EXAMPLES >= MANY else [MODES[number % 2]]:
            if mode is GenerationMode.NEGATIVE and not can_be_wrong(operation):
                continue
            heard: list[str] = []
            try:
                ask(client, operation, mode, heard)
            except* Exception as failures:  # noqa: BLE001 - all of them are told together
                told = "".join(f"{one}\n" for one in failures.exceptions)
                broken.append(f"{operation.label} ({mode}): {told}heard: {heard[-1:]}")
    return broken


def can_be_wrong(operation: Any) -> bool:
    """Tell whether a request can break the document: a text in a path cannot."""
    return bool(list(operation.body) or list(operation.query))


def ask(client: Client, operation: Any, mode: GenerationMode, heard: list[str]) -> None:
    @SETTINGS
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    def once(case: Any) -> None:
        try:
            response = case.call(
                base_url=client.address, headers=client.auth, timeout=CALLED_SECONDS
            )
        except requests.ConnectionError as error:
            if len(str(error.request and error.request.url)) > LINE_BYTES:
                return  # refused by its first bytes, while most of it was under way
            raise
        heard.append(response.text[:400])
        skipped = list(ACCEPTANCE) if is_beyond_the_schema(response) else []
        if response.status_code == HTTPStatus.REQUEST_URI_TOO_LONG:
            skipped += REJECTION
        case.validate_response(
            response,
            checks=cast("Any", CHECKS.get_all()),
            excluded_checks=skipped,
            headers=client.auth,
        )

    with suppress(hypothesis.errors.Unsatisfiable):  # nothing can be wrong about some
        once()


def is_beyond_the_schema(response: Any) -> bool:
    """Tell whether what fits its schema was refused by a rule that no schema can say."""
    status = response.status_code
    if status != HTTPStatus.UNPROCESSABLE_ENTITY:
        return bool(status == HTTPStatus.PRECONDITION_FAILED)  # of a version that has passed
    return "json" not in response.headers["content-type"][0] or is_a_rule(response.json())


def is_a_rule(problem: Any) -> bool:
    named = {field["path"] for field in problem.get("fields", ())}
    if problem["code"] == "http.query.invalid":
        return named <= {"cursor", "page"}
    if "got `float`" in problem["detail"] or "is none of: " in problem["detail"]:
        return True  # 1e2 is an integer to JSON Schema; keys of an object are not described
    return problem["code"] not in {"http.body.invalid", "http.path.invalid"}
