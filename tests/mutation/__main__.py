"""Break each promise on purpose, in a copy of the tree, and see whether its tests notice.

    python -m tests.mutation [--promise N|TEXT] [--path TEXT] [--workers 2] [--json] [--list]

A mutation is *killed* when a test of its promise fails or hangs, *survived* when all pass, and
*broken* when the tests cannot be collected: then the table is wrong. Exits 1 when fewer than 95 %
are killed or any is broken.
"""

import argparse
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter

import msgspec

from tests.mutation.table import (
    Mutation,
    Promise,
    promise_of,
    read_mutations,
    read_promises,
)
from tests.support.tree import ROOT

COPIED = ("leadflood", "tests", "config", "migrations", "docs", "pyproject.toml", "README.md")
ENOUGH_RATIO = 0.95
PATIENCE_SECONDS = 180
KILLED, SURVIVED, BROKEN = "killed", "survived", "broken"
_OUTCOMES = {0: SURVIVED, 1: KILLED}


class Result(msgspec.Struct, frozen=True):
    """What came of a mutation; `test` is the first that failed, `output` the end of the run's."""

    promise: int
    mutation: Mutation
    outcome: str
    seconds: float
    test: str | None
    output: str


def main() -> None:
    options = parse_options()
    promises = read_promises()
    chosen = choose(options, promises)
    if options.list:
        print_promises(promises, chosen)
        return
    results = []
    for result in run_all(chosen, options.workers):
        results.append(result)
        if not options.json:
            print_result(result, len(results), len(chosen))
    print_summary(results, as_json=options.json)
    killed = sum(result.outcome == KILLED for result in results)
    is_broken = any(result.outcome == BROKEN for result in results)
    sys.exit(is_broken or killed < ENOUGH_RATIO * len(results))


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.mutation", description=__doc__)
    parser.add_argument("--promise", help="a promise's number, or words of its text")
    parser.add_argument("--path", default="", help="part of the path of the changed file")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--list", action="store_true", help="list the promises, run nothing")
    return parser.parse_args()


def choose(
    options: argparse.Namespace, promises: Sequence[Promise]
) -> list[tuple[Promise, Mutation]]:
    """List the mutations that the options ask for, each with its promise."""
    wanted = options.promise or ""
    pairs = [(promise_of(mutation, promises), mutation) for mutation in read_mutations()]
    return [
        (promise, mutation)
        for promise, mutation in pairs
        if options.path in mutation.path
        and (promise.number == int(wanted) if wanted.isdigit() else wanted in promise.text)
    ]


def run_all(chosen: Sequence[tuple[Promise, Mutation]], workers: int) -> Iterator[Result]:
    """Try the mutations, some at once, each worker in a copy of the tree of its own."""
    waiting: queue.SimpleQueue[tuple[Promise, Mutation]] = queue.SimpleQueue()
    for pair in chosen:
        waiting.put(pair)
    results: queue.SimpleQueue[Result] = queue.SimpleQueue()
    for _ in range(min(workers, len(chosen))):
        threading.Thread(target=_work, args=(waiting, results), daemon=True).start()
    for _ in chosen:
        yield results.get()


def _work(
    waiting: "queue.SimpleQueue[tuple[Promise, Mutation]]",
    results: "queue.SimpleQueue[Result]",
) -> None:
    with tempfile.TemporaryDirectory(prefix="leadflood-mutation-") as folder:
        tree = copy_tree(Path(folder) / "tree")
        while True:
            try:
                promise, mutation = waiting.get_nowait()
            except queue.Empty:
                return
            results.put(try_mutation(tree, promise, mutation))


def copy_tree(tree: Path) -> Path:
    """Copy what the tests need into an empty folder."""
    tree.mkdir()
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tree / name)
    return tree


def try_mutation(tree: Path, promise: Promise, mutation: Mutation) -> Result:
    """Make the change in the copy, run the tests of the promise, and take the change back."""
    path = tree / mutation.path
    source = path.read_text("utf-8")
    start = perf_counter()
    try:
        _write(path, mutation.apply(source))
        outcome, test, output = _run_tests(tree, promise.tests)
    except ValueError as error:
        outcome, test, output = BROKEN, None, str(error)
    finally:
        _write(path, source)
    seconds = perf_counter() - start
    return Result(promise.number, mutation, outcome, seconds, test, output)


def _write(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")
    # a compiled module is told apart by second and size, and a mutation may share both
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
        compiled.unlink()


def _run_tests(tree: Path, tests: Sequence[str]) -> tuple[str, str | None, str]:
    command = [sys.executable, "-m", "pytest", "-n", "0", "-x", "-q", "--no-header", "--tb=line"]
    command += ["-p", "no:cacheprovider", "--durations=0", *tests]
    environment = {**os.environ, "PYTHONPATH": str(tree)}  # noqa: TID251 - of the tests, no setting
    with subprocess.Popen(  # noqa: S603 - our own command
        command,
        cwd=tree,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            return KILLED, "none ended in time", process.communicate()[0][-2000:]
    failed = [line.split()[1] for line in output.splitlines() if line.startswith("FAILED ")]
    errors = [line.split()[1] for line in output.splitlines() if line.startswith("ERROR ")]
    outcome = _OUTCOMES.get(process.returncode, BROKEN)
    return outcome, next(iter(failed + errors), None), output[-2000:]


def print_promises(promises: Sequence[Promise], chosen: Sequence[tuple[Promise, Mutation]]) -> None:
    for promise in promises:
        count = sum(pair[0] is promise for pair in chosen)
        print(f"{promise.number:>3}  {count:>3} mutations  {promise.text}")
    print(f"{len(chosen)} mutations of {len(promises)} promises")


def print_result(result: Result, number: int, count: int) -> None:
    print(
        f"{number:>3}/{count} {result.outcome:<8} {result.seconds:5.1f} s  {result.promise:>3}"
        f" {result.mutation.path}: {result.mutation.breaks}",
        flush=True,
    )


def print_summary(results: Sequence[Result], *, as_json: bool) -> None:
    counts = {
        outcome: sum(result.outcome == outcome for result in results)
        for outcome in (KILLED, SURVIVED, BROKEN)
    }
    if as_json:
        print(json.dumps({**counts, "results": msgspec.to_builtins(results)}, indent=2))
        return
    for result in results:
        if result.outcome != KILLED:
            print(f"\n{result.outcome}: {result.mutation.path}: {result.mutation.breaks}")
            print(result.output.strip() if result.outcome == BROKEN else result.mutation.new)
    print(f"\n{counts[KILLED]} of {len(results)} killed; {counts[BROKEN]} broken")


if __name__ == "__main__":
    main()
