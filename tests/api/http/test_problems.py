from http import HTTPStatus

import pytest
from leadflood.api.http.problems import TABLE, phrase_of, refusal_of, status_of
from leadflood.contracts import errors as provider_errors
from leadflood.engine import errors
from leadflood.engine.errors import FieldProblem, Invalid, LeadfloodError, Throttled, Transient


def everything_below(root: type[LeadfloodError]) -> set[type[LeadfloodError]]:
    return {root}.union(*(everything_below(child) for child in root.__subclasses__()))


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("Invalid", 422),
        ("Permanent", 422),
        ("NotFound", 404),
        ("Conflict", 409),
        ("Denied", 403),
        ("Unauthenticated", 401),
        ("Throttled", 429),
        ("Transient", 503),
        ("NotConfigured", 503),
        ("Bug", 500),
        ("ProviderThrottled", 503),
        ("ProviderDown", 503),
        ("ProviderRefused", 422),
        ("ProviderUnfunded", 402),
        ("ProviderChanged", 502),
    ],
)
def test_each_class_has_the_status_of_the_conventions(name: str, status: int) -> None:
    error_type = getattr(errors, name, None) or getattr(provider_errors, name)

    assert status_of(error_type).status == status


def test_the_table_goes_from_specific_to_general_errors() -> None:
    kinds = [kind for kind, _ in TABLE]

    for position, kind in enumerate(kinds):
        assert not any(issubclass(kind, earlier) for earlier in kinds[:position]), kind


def test_a_problem_carries_code_fields_and_the_request_s_id() -> None:
    problem = refusal_of(
        Invalid("no", (FieldProblem("a.b", "write c"),), code="x.y"), "r-1"
    ).problem

    assert (problem.code, problem.status, problem.request_id) == ("x.y", 422, "r-1")
    assert problem.fields == (FieldProblem("a.b", "write c"),)
    assert problem.type == "urn:leadflood:x.y"


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (Throttled("wait", 0.2), "1"),
        (provider_errors.ProviderThrottled("wait", 41.5), "42"),
        (Transient("away"), "1"),
        (provider_errors.ProviderDown("away", 7.0), "7"),
    ],
)
def test_a_throttled_answer_says_how_long_to_wait(error: LeadfloodError, seconds: str) -> None:
    assert refusal_of(error, "r").headers == {"Retry-After": seconds}


@pytest.mark.parametrize("error", [ConnectionRefusedError(), TimeoutError()])
def test_a_database_that_is_away_is_503_and_no_bug(error: Exception) -> None:
    refusal = refusal_of(error, "r")

    assert refusal.problem.status == 503
    assert "Retry-After" in refusal.headers


@pytest.mark.parametrize(
    ("status", "phrase"),
    [
        (413, "Content Too Large"),
        (414, "URI Too Long"),
        (416, "Range Not Satisfiable"),
        (422, "Unprocessable Content"),
        (404, "Not Found"),
    ],
)
def test_a_status_has_the_same_words_on_every_python(status: int, phrase: str) -> None:
    assert phrase_of(HTTPStatus(status)) == phrase
