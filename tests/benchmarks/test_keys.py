"""The benchmarks run, and print the keys that scripts rely on."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def run(*words: str) -> dict[str, Any]:
    done = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", *words, "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.pg
@pytest.mark.long
def test_the_engine_benchmark_prints_its_keys() -> None:
    short = ("--seconds", "0.3", "--rounds", "1", "--peers", "none")
    found = run("benchmarks.engine", *short, "--only", "chain,cost")

    assert found["void"] == []
    assert found["drain_jobs_per_s"].keys() == {"leadflood", "raw"}
    assert found["chain_hops_per_s"].keys() == {"leadflood", "leadflood_logged_events", "raw"}
    assert found["idle_latency_ms"].keys() == {"leadflood", "leadflood_other_process"}
    assert found["rss_mb"].keys() == {"idle", "drain", "million_queued"}
    assert found["chain_hops_per_s"]["leadflood_logged_events"] > 0
    assert found["rss_mb"]["drain"] > 0
    assert found["transactions_per_job"] > 0
    assert found["wal_bytes_per_job"] > 0
    assert found["settings"]["fsync"] == "on"


@pytest.mark.pg
@pytest.mark.long
def test_the_pipeline_benchmark_prints_its_keys_and_its_rows_add_up() -> None:
    found = run("benchmarks.pipeline", "--leads", "200", "--warmup", "100", "--only", "memory")

    assert found["void"] == []
    assert found["leads_per_s"].keys() == {"memory", "http"}
    assert found["stages"]["memory"].keys() >= {"enrichment.run", "scoring.compute"}
    assert found["leads_per_s"]["memory"] > 0
    assert found["stages"]["memory"]["enrichment.run"]["tasks"] == 200


@pytest.mark.pg
def test_the_api_benchmark_prints_its_keys_and_its_rows_are_as_many_as_its_answers() -> None:
    short = ("--seconds", "0.5", "--rounds", "1", "--peers", "none")
    found = run("benchmarks.api", *short, "--only", "get,post")

    assert found["void"] == []
    assert found["get_per_s"].keys() == {"leadflood", "bare", "fastify"}
    assert found["post_per_s"].keys() == {"leadflood", "bare", "fastify"}
    million = {"list_p95", "filter_p95", "search_p95", "record_p95", "first_page"}
    assert found["million_ms"].keys() == million
    assert found["websocket"].keys() == {"p99_ms", "kb_per_client"}
    assert found["get_per_s"]["leadflood"] > 0
    assert found["post_per_s"]["leadflood"] > 0
