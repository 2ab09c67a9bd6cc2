from pathlib import Path

import pytest
from leadflood.engine.db.sql import Queries

QUERIES = """\
-- fragment: is_open
-- Which jobs are open.
state = :state::text
    AND ended_at IS NULL

-- name: list_jobs
-- Open jobs.
SELECT id FROM job WHERE {is_open} LIMIT :limit::int

-- name: count_jobs
-- How many jobs are open.
SELECT count(*) FROM job WHERE {is_open}
"""


def load(folder: Path, text: str) -> Queries:
    path = folder / "queries.sql"
    path.write_text(text, "utf-8")
    return Queries(path)


def on_one_line(text: str) -> str:
    return " ".join(text.split())


def test_a_fragment_stands_in_every_query_that_names_it(tmp_path: Path) -> None:
    queries = load(tmp_path, QUERIES)

    assert {query.name for query in queries} == {"list_jobs", "count_jobs"}
    assert queries.list_jobs.parameters == ("state", "limit")
    assert on_one_line(queries.list_jobs.text) == (
        "SELECT id FROM job WHERE state = $1::text AND ended_at IS NULL LIMIT $2::int"
    )
    assert on_one_line(queries.count_jobs.text) == (
        "SELECT count(*) FROM job WHERE state = $1::text AND ended_at IS NULL"
    )


def test_a_fragment_may_stand_between_queries_or_last(tmp_path: Path) -> None:
    fragment, *queries = QUERIES.split("\n\n")

    between = load(tmp_path, "\n\n".join([queries[0], fragment, *queries[1:]]))
    last = load(tmp_path, "\n\n".join([*queries, fragment]))

    assert between.list_jobs.text == last.list_jobs.text
    assert "{" not in between.count_jobs.text


def test_braces_that_name_nothing_are_left_alone(tmp_path: Path) -> None:
    queries = load(tmp_path, "-- name: clear\n-- No tags.\nUPDATE t SET a = '{}', b = '{1}'\n")

    assert queries.clear.text == "UPDATE t SET a = '{}', b = '{1}'"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (QUERIES.replace("{is_open}", "{is_shut}"), "no fragment is named is_shut"),
        (QUERIES.replace("{is_open}", "true"), "no query uses the fragment is_open"),
        (QUERIES.replace("ended_at IS NULL", "{is_open}"), "is_open uses {is_open}"),
        (QUERIES.partition("\n\n")[0] + "\n" + QUERIES, "is_open is defined twice"),
    ],
    ids=["unknown", "unused", "recursive", "twice"],
)
def test_a_fragment_that_cannot_be_resolved_is_refused_with_the_file_named(
    tmp_path: Path, text: str, problem: str
) -> None:
    with pytest.raises(ValueError, match=r"queries\.sql: ") as refused:
        load(tmp_path, text)

    assert problem in str(refused.value)
