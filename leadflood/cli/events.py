"""`leadflood events`: everything that can happen, in the log of events and in the logs."""

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer

import leadflood
from leadflood.cli.console import print_data, print_json
from leadflood.cli.database_command import AsJson, print_table
from leadflood.engine.queue.event import Event, name_of
from leadflood.pipeline import STEPS

LEVELS = ("debug", "info", "warning", "error", "critical", "exception")


class EventType(msgspec.Struct, frozen=True, rename="camel"):
    """A kind of event: is it written to the event log, what it means, what it carries."""

    name: str
    kept: bool
    means: str
    fields: tuple[str, ...]
    starts: tuple[str, ...]


class LogType(msgspec.Struct, frozen=True, rename="camel"):
    """A line that the logs may hold: its level and fields."""

    name: str
    level: str
    fields: tuple[str, ...]
    written_in: str


def events(
    area: Annotated[str | None, typer.Argument(help="Only of an area, such as messaging.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List every event by name: what it means, what it carries, which stage it starts."""
    kinds = [one for one in list_events() if area is None or one.name.startswith(f"{area}.")]
    lines = [one for one in list_log_lines() if area is None or one.name.startswith(f"{area}.")]
    if as_json:
        print_json({"events": kinds, "logs": lines})
        return
    print_table(
        ("event", "kept", "starts", "fields", "means"),
        [
            (one.name, "yes" if one.kept else "no", ", ".join(one.starts), ", ".join(one.fields),
             one.means)
            for one in kinds
        ],
    )  # fmt: skip
    print_data("")
    print_table(
        ("log line", "level", "fields", "written in"),
        [(one.name, one.level, ", ".join(one.fields), one.written_in) for one in lines],
    )


def list_events() -> list[EventType]:
    """List the kinds of events of the product, by name."""
    return sorted((_event_type(kind) for kind in set(_kinds(Event))), key=lambda one: one.name)


def list_log_lines() -> list[LogType]:
    """List the lines that the logs may hold, read from the source."""
    root = Path(leadflood.__file__).parent
    found = {
        (line.name, line.level): line
        for path in sorted(root.rglob("*.py"))
        for line in _lines_of(path, root)
    }
    return [found[key] for key in sorted(found)]


def _kinds(base: type[Event]) -> Iterator[type[Event]]:
    for kind in base.__subclasses__():
        yield from _kinds(kind)
        is_ours = kind.__module__.startswith("leadflood.")
        if is_ours and name_of(kind) != kind.__name__:  # a tag of its own: not a base of others
            yield kind


def _event_type(kind: type[Event]) -> EventType:
    first_line = (kind.__doc__ or "").strip().partition("\n")[0]
    return EventType(
        name=name_of(kind),
        kept=not kind.internal,
        means=first_line,
        fields=tuple(field.encode_name for field in msgspec.structs.fields(kind)),
        starts=tuple(step.run.name for step in STEPS if step.on is kind),
    )


def _lines_of(path: Path, root: Path) -> Iterator[LogType]:
    text = path.read_text("utf-8")
    if "log." not in text:
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and (found := _log_call(node)) is not None:
            name, level, fields = found
            yield LogType(name, level, tuple(fields), path.relative_to(root).as_posix())


def _log_call(node: ast.Call) -> tuple[str, str, Sequence[str]] | None:
    called = node.func
    if not isinstance(called, ast.Attribute) or called.attr not in LEVELS or not node.args:
        return None
    first = node.args[0]
    is_log = isinstance(called.value, ast.Name) and called.value.id == "log"
    if not is_log or not isinstance(first, ast.Constant) or not isinstance(first.value, str):
        return None
    return first.value, called.attr, [word.arg for word in node.keywords if word.arg is not None]
