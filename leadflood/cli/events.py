"""`leadflood events`: the catalogue of events and log lines."""

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer

import leadflood
from leadflood.cli.console import print_data, print_json, print_table
from leadflood.cli.database_command import AsJson, require_name
from leadflood.engine.queue.event import Event, name_of
from leadflood.pipeline import STEPS

LEVELS = ("debug", "info", "warning", "error", "critical", "exception")


class EventType(msgspec.Struct, frozen=True, rename="camel"):
    """A type of event: its meaning, its fields, the stages it starts; `kept`: it is logged."""

    name: str
    kept: bool
    means: str
    fields: tuple[str, ...]
    starts: tuple[str, ...]


class LogType(msgspec.Struct, frozen=True, rename="camel"):
    """A log line: its level and fields."""

    name: str
    level: str
    fields: tuple[str, ...]
    written_in: str


def events(
    area: Annotated[str | None, typer.Argument(help="Only of an area, such as leads.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List every event by name: what it means, what it carries, which stage it starts."""
    event_types, log_lines = list_events(), list_log_lines()
    if area is not None:
        names = [entry.name for entry in event_types] + [entry.name for entry in log_lines]
        areas = {_area_of(name) for name in names}
        require_name("AREA", area, sorted(areas))
        event_types = [entry for entry in event_types if _area_of(entry.name) == area]
        log_lines = [entry for entry in log_lines if _area_of(entry.name) == area]
    if as_json:
        print_json({"events": event_types, "logs": log_lines})
        return
    print_table(
        ("event", "kept", "starts", "fields", "means"),
        [
            (
                entry.name,
                "yes" if entry.kept else "no",
                ", ".join(entry.starts),
                ", ".join(entry.fields),
                entry.means,
            )
            for entry in event_types
        ],
    )
    print_data("")
    print_table(
        ("log line", "level", "fields", "written in"),
        [
            (entry.name, entry.level, ", ".join(entry.fields), entry.written_in)
            for entry in log_lines
        ],
    )


def _area_of(name: str) -> str:
    return name.partition(".")[0]


def list_events() -> list[EventType]:
    """Return the types of events, by name."""
    return sorted((_event_type(kind) for kind in set(_kinds(Event))), key=lambda entry: entry.name)


def list_log_lines() -> list[LogType]:
    """Return the log lines, read from the source."""
    root = Path(leadflood.__file__).parent
    match = {
        (line.name, line.level): line
        for path in sorted(root.rglob("*.py"))
        for line in _lines_of(path, root)
    }
    return [match[key] for key in sorted(match)]


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
        if isinstance(node, ast.Call) and (match := _log_call(node)) is not None:
            name, level, fields = match
            yield LogType(name, level, tuple(fields), path.relative_to(root).as_posix())


def _log_call(node: ast.Call) -> tuple[str, str, Sequence[str]] | None:
    function = node.func
    if not isinstance(function, ast.Attribute) or function.attr not in LEVELS or not node.args:
        return None
    name_node = node.args[0]
    is_log = isinstance(function.value, ast.Name) and function.value.id == "log"
    if (
        not is_log
        or not isinstance(name_node, ast.Constant)
        or not isinstance(name_node.value, str)
    ):
        return None
    return (
        name_node.value,
        function.attr,
        [word.arg for word in node.keywords if word.arg is not None],
    )
