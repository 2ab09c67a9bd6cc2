from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.api.routes.test_leads import a_lead, scored
from tests.support.api import Client

pytestmark = pytest.mark.pg


@pytest.fixture
async def lead(api: Client, icp_id: str) -> Any:
    created = await api.post("/v1/leads", a_lead(icp_id))
    return await scored(api, created.json["leadId"])


async def test_an_outcome_is_recorded_with_the_score_that_it_judges(api: Client, lead: Any) -> None:
    answer = await api.post(f"/v1/leads/{lead['id']}/feedback", {"outcome": "won", "note": "!"})

    assert answer.status == 201
    assert (answer.json["kind"], answer.json["outcome"], answer.json["note"]) == (
        "deal",
        "won",
        "!",
    )
    assert answer.json["predictionId"] == lead["score"]["id"]
    assert answer.json["icpId"] == lead["score"]["icpId"]
    assert answer.json["snapshotId"] is not None
    assert answer.json["score"] == lead["score"]["score"]
    assert answer.json["source"] == "user"


async def test_all_outcomes_are_kept_and_the_newest_of_each_kind_counts(
    api: Client, lead: Any
) -> None:
    path = f"/v1/leads/{lead['id']}/feedback"
    yesterday = (datetime.now(UTC) - timedelta(days=1)).isoformat()  # noqa: TID251 - a real API
    for body in (
        {"outcome": "won"},
        {"outcome": "lost", "at": yesterday},
        {"outcome": "bad_fit"},
    ):
        assert (await api.post(path, body)).status == 201

    listed = (await api.get(path)).json["data"]

    assert [(label["outcome"], label["isCurrent"]) for label in listed] == [
        ("bad_fit", True),
        ("won", True),
        ("lost", False),
    ]
    assert listed[2]["predictionId"] is None, "it had no score yesterday"


async def test_the_same_key_records_an_outcome_once(api: Client, lead: Any) -> None:
    path, headers = f"/v1/leads/{lead['id']}/feedback", {"Idempotency-Key": uuid4().hex}

    first = await api.post(path, {"outcome": "meeting"}, headers=headers)
    again = await api.post(path, {"outcome": "meeting"}, headers=headers)

    assert first.json == again.json
    assert len((await api.get(path)).json["data"]) == 1


@pytest.mark.parametrize(
    ("body", "path"),
    [({"outcome": "great"}, "outcome"), ({"outcome": "won", "at": "2999-01-01T00:00:00Z"}, "at")],
)
async def test_unknown_and_future_outcomes_are_refused(
    api: Client, lead: Any, body: Any, path: str
) -> None:
    refused = await api.post(f"/v1/leads/{lead['id']}/feedback", body)

    assert refused.status == 422
    assert refused.problem["fields"][0]["path"] == path


async def test_an_unknown_lead_has_no_feedback(api: Client) -> None:
    path = f"/v1/leads/{uuid4()}/feedback"

    assert (await api.post(path, {"outcome": "won"})).status == 404
    assert (await api.get(path)).status == 404
