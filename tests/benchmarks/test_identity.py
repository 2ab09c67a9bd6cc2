"""The benchmark of identity, small: the truth is known, and most of it is found."""

from uuid import UUID

import pytest
from benchmarks.identity import judge, list_missed, measure
from benchmarks.identity_people import generate, read_febrl
from leadflood.engine.db.pool import open_database
from tests.support.db import TestServer, cloned_database


def test_pairs_are_judged_by_the_truth() -> None:
    one, other, third = UUID(int=1), UUID(int=2), UUID(int=3)

    figures = judge(["a", "a", "a", "b"], [one, one, other, third], {(one, other)})

    assert figures["auto"] == {"precision": 1.0, "recall": 0.3333}
    assert figures["withQueue"] == {"recall": 1.0}


def test_the_same_seed_makes_the_same_people() -> None:
    assert generate(50, 3) == generate(50, 3)
    assert len(read_febrl("dataset1")) == 1_000


@pytest.mark.pg
async def test_a_small_world_is_told_apart(database_server: TestServer) -> None:
    async with (
        cloned_database(database_server) as settings,
        open_database(settings) as database,
    ):
        figures = {"generated": await measure(database, generate(600, 5))}

    assert list_missed(figures) == []
