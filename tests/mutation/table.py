"""The table of mutations: what is changed on purpose, and the promise whose tests have to notice.

`docs/promises.md` lists the promises and their tests; `changes/*.toml` lists the mutations:

    [[mutation]]
    promise = "The fence is (job, claim number)"
    path = "leadflood/engine/queue/queries.sql"
    breaks = "a settle does not look at the claim number"
    old = '''  AND job.claim = settled.claim'''
    new = ''

`promise` is the beginning of a promise's text; `old` stands in the file exactly once.
"""

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tests.support.tree import ROOT

PROMISES = ROOT / "docs" / "promises.md"
CHANGES = Path(__file__).parent / "changes"


class Promise(msgspec.Struct, frozen=True):
    """A promise of `docs/promises.md`: its place in the page, its text and its tests."""

    number: int
    text: str
    tests: tuple[str, ...]


class Mutation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A change made on purpose: `old` becomes `new`, and a test of the promise has to fail."""

    promise: str
    path: str
    breaks: str
    old: str
    new: str

    def apply(self, source: str) -> str:
        """Return the file's text with the change made.

        Raises: ValueError where `old` does not stand there exactly once.
        """
        if (count := source.count(self.old)) != 1:
            raise ValueError(f"{self.path}: {self.old!r} stands there {count} times, not once")
        return source.replace(self.old, self.new)


def read_promises(page: Path = PROMISES) -> list[Promise]:
    """List the promises in the order of the page, numbered from 1."""
    blocks = re.findall(
        r"^- \*\*(.+?)\*\*\n((?:  - `[^`]+`\n?)*)", page.read_text("utf-8"), re.MULTILINE
    )
    return [
        Promise(number, text, tuple(re.findall(r"`([^`]+)`", tests)))
        for number, (text, tests) in enumerate(blocks, start=1)
    ]


def read_mutations(folder: Path = CHANGES) -> list[Mutation]:
    """List the mutations of all chapters."""
    return [
        msgspec.convert(row, Mutation)
        for chapter in sorted(folder.glob("*.toml"))
        for row in tomllib.loads(chapter.read_text("utf-8")).get("mutation", [])
    ]


def promise_of(mutation: Mutation, promises: Sequence[Promise]) -> Promise:
    """Return the promise whose text begins as the mutation says.

    Raises: ValueError where none or several do.
    """
    matches = [promise for promise in promises if promise.text.startswith(mutation.promise)]
    if len(matches) != 1:
        raise ValueError(f"{len(matches)} promises begin with {mutation.promise!r}, not one")
    return matches[0]
