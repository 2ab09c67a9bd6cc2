"""`tests/mutation` fits the tree: each change can be made, and each names a promise."""

import ast

import pytest
from tests.mutation.table import Mutation, promise_of, read_mutations, read_promises
from tests.support.tree import ROOT

PROMISES = read_promises()
MUTATIONS = read_mutations()


def label(mutation: Mutation) -> str:
    return f"{mutation.path}: {mutation.breaks}"


@pytest.mark.parametrize("mutation", MUTATIONS, ids=label)
def test_each_change_can_be_made_and_breaks_a_promise(mutation: Mutation) -> None:
    source = (ROOT / mutation.path).read_text("utf-8")

    changed = mutation.apply(source)

    assert promise_of(mutation, PROMISES).tests
    assert changed != source
    if mutation.path.endswith(".py"):
        ast.parse(changed)


def test_what_a_mutation_breaks_is_said_once() -> None:
    labels = [label(mutation) for mutation in MUTATIONS]

    assert len(labels) == len(set(labels))


@pytest.mark.parametrize("part", ["", "old"])
def test_a_change_that_cannot_be_made_is_refused(part: str) -> None:
    mutation = Mutation("A promise", "a.py", "nothing", part, "new")

    with pytest.raises(ValueError, match="not once"):
        mutation.apply("text")
