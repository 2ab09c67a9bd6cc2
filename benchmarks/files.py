"""Files as people have them: what is made of given ones, of damaged ones, and of a large one.

    python -m benchmarks.files --json

- `given`: the messy files of the tests, each with what it should give, and hard CSV syntax.
- `damage`: clean files, each damaged in one way drawn from the seed, held against `file_oracle`.
- `import`: a large file through a server into the database, and its undo.
"""

import copy
import io
import json
import os
import random
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
import msgspec
from leadflood.domain.imports.rules.csv_records import Dialect, read_records
from leadflood.domain.imports.rules.whole_file import read_csv
from leadflood.domain.imports.schemas.rows import ReadCsv

from benchmarks.file_damage import damage, make_sheet
from benchmarks.file_import import measure_import
from benchmarks.file_oracle import Verdict, judge
from benchmarks.report import Figures, make_parser, parse_options
from benchmarks.world import ROOT, open_server, print_table

PARTS = ("given", "damage", "import")
DATA = ROOT / "tests" / "domain" / "imports" / "data"
MESSY = DATA / "messy_leads"
_MOST_SHOWN = 10


def main() -> int:
    """Measure and print; return the exit code."""
    parser = make_parser("benchmarks.files", __doc__, PARTS)
    parser.add_argument("--damages", type=int, default=20_000, help="damaged files")
    parser.add_argument("--rows", type=int, default=200_000, help="rows of the large file")
    parser.add_argument("--seed", type=int, default=1)
    options = parse_options(parser, PARTS)
    wrong: list[str] = []
    figures: Figures = {"files": 0, "asExpected": 0, "silentLoss": 0, "rowsWithAnothersCell": 0}
    figures |= {"crashes": 0, "rows_per_s": None, "damages": {}}
    if "given" in options.only:
        wrong += check_given(figures)
    if "damage" in options.only:
        wrong += check_damages(figures, options.damages, options.seed)
    if "import" in options.only:
        figures["import"] = anyio.run(_measure, options.rows, options.seed)
        figures["rows_per_s"] = figures["import"]["rows_per_s"]
    figures["load"] = round(os.getloadavg()[0], 2)
    print_table("Files", {name: str(value) for name, value in figures.items()})
    for line in wrong[:_MOST_SHOWN]:
        sys.stderr.write(f"{line}\n")
    if options.json:
        sys.stdout.write(json.dumps(figures, indent=2) + "\n")
    return 1 if wrong else 0


async def _measure(row_count: int, seed: int) -> Figures:
    async with open_server() as server:
        return await measure_import(server, row_count, seed)


def find_file(name: str) -> Path:
    """Return a given file: a messy one, or an export."""
    return next(path for folder in (MESSY, DATA) for path in folder.glob(f"{name}.[ct]sv"))


def check_given(figures: Figures) -> list[str]:
    """Count the given files that give what they should; return what is wrong."""
    wrong = []
    for name, expected in tomllib.loads((MESSY / "expected.toml").read_text("utf-8")).items():
        path = find_file(name)
        problems = [f"{name}: {problem}" for problem in check_file(path, expected)]
        figures["files"] += 1
        figures["asExpected"] += not problems
        wrong += problems
    for path in sorted((DATA / "expected").glob("*.json")):
        wanted = json.loads(path.read_text("utf-8").replace("\\r\\n", "\\n"))
        is_right = _cells_of(DATA / f"{path.stem}.csv") == wanted
        figures["files"] += 1
        figures["asExpected"] += is_right
        wrong += [] if is_right else [f"{path.stem}: its cells differ"]
    return wrong


def check_file(path: Path, expected: dict[str, Any]) -> list[str]:
    """Return how what is read of a file differs from what should be."""
    file = read_csv(path.read_bytes())
    leads = {row.number: row for row in file.rows}
    problems = _compare_lines(file, expected)
    for line, values in expected.get("leads", {}).items():
        row = leads.get(int(line))
        found = {} if row is None else {field.value: value for field, value in row.values.items()}
        problems += [
            f"line {line}: {field} is {found.get(field)!r}, not {value!r}"
            for field, value in values.items()
            if not _is_like(found.get(field), value)
        ]
    for line, fields in expected.get("notes", {}).items():
        notes = leads[int(line)].notes if int(line) in leads else ()
        noted = {note.partition(":")[0] for note in notes}
        problems += [f"line {line}: no note on {field}" for field in fields if field not in noted]
    return problems


def _compare_lines(file: ReadCsv, expected: dict[str, Any]) -> list[str]:
    bad = {row.number: row.reason for row in file.bad}
    wanted = {int(line): reason for line, reason in expected.get("bad", {}).items()}
    problems = [
        f"line {line}: bad for {bad.get(line)!r}, not {reason!r}"
        for line, reason in wanted.items()
        if reason not in bad.get(line, "")
    ]
    return problems + [
        f"line {line}: bad: {reason}" for line, reason in bad.items() if line not in wanted
    ]


def _is_like(value: object, wanted: object) -> bool:
    if wanted in {"", "*"}:
        return (value is None) == (wanted == "")
    return value == wanted


def _cells_of(path: Path) -> list[dict[str, str]]:
    """Return the rows of a file by the cells of its first line."""
    text = io.StringIO(path.read_text("utf-8"), newline="")
    header, *rows = (record.cells for record in read_records(text, Dialect(delimiter=",")))
    return [dict(zip(header, row, strict=True)) for row in rows]


def check_damages(figures: Figures, count: int, seed: int) -> list[str]:
    """Damage files and count how they are read; return what is wrong."""
    wrong = []
    kinds: Counter[str] = Counter()
    for number in range(count):
        verdict, what = judge_one(seed * 10_000_000 + number)
        kinds[what] += 1
        figures["files"] += 1
        figures["asExpected"] += verdict.is_as_expected
        figures["silentLoss"] += len(verdict.lost)
        figures["rowsWithAnothersCell"] += len(verdict.others)
        figures["crashes"] += bool(verdict.crash)
        if not verdict.is_as_expected:
            wrong.append(f"{what} ({seed} · {number}): {msgspec.to_builtins(verdict)}")
    figures["damages"] = dict(sorted(kinds.items()))
    return wrong


def judge_one(seed: int) -> tuple[Verdict, str]:
    """Return how a file is read that the seed makes and damages, and which damage it is."""
    draw = random.Random(seed)  # noqa: S311 - repeatable
    clean = make_sheet(draw)
    damaged = copy.deepcopy(clean)
    damage(damaged, draw)
    return judge(clean, damaged), damaged.damage


if __name__ == "__main__":
    sys.exit(main())
