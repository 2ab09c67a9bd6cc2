"""Choices: the values that may stand where a request has another one, for the error's text."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec.inspect

MOST_NAMED = 100
MOST_CHARS = 200
_WRONG_CHOICE = re.compile(r"Invalid enum value (.+)", re.DOTALL)
_STEP = re.compile(r"\.([^.\[]+)|\[([^\]]*)\]")
_KEYS = "key` in `"


def name_choices(kind: Any, problem: str, location: str) -> str:
    """Return msgspec's problem with the values that a choice has; any other is returned as it is.

    `kind` is what was decoded into, `location` where msgspec says the problem is (`$.a[0].b`).
    """
    wrong = _WRONG_CHOICE.fullmatch(problem)
    if wrong is None:
        return problem
    path = location.removeprefix(_KEYS).rstrip("`").removeprefix("$")
    steps = [name or "[]" for name, _ in _STEP.findall(path)]
    if location.startswith(_KEYS):
        steps.append("key")
    choices = list(dict.fromkeys(_choices_at(msgspec.inspect.type_info(kind), steps)))
    named = ", ".join(choices[:MOST_NAMED])
    return f"{wrong[1][:MOST_CHARS]} is none of: {named}" if choices else problem


def _choices_at(kind: msgspec.inspect.Type, steps: Sequence[str]) -> Iterator[str]:
    """Yield the choices that a type has behind some steps into it."""
    match kind:
        case msgspec.inspect.Metadata(type=inner):
            yield from _choices_at(inner, steps)
        case msgspec.inspect.UnionType(types=kinds):
            for each in kinds:
                yield from _choices_at(each, steps)
        case msgspec.inspect.EnumType(cls=enum) if not steps:
            yield from (str(member.value) for member in enum)
        case msgspec.inspect.LiteralType(values=values) if not steps:
            yield from map(str, values)
        case _:
            for step in steps[:1]:
                for inner in _step_into(kind, step):
                    yield from _choices_at(inner, steps[1:])


def _step_into(kind: msgspec.inspect.Type, step: str) -> Iterator[msgspec.inspect.Type]:
    match kind:
        case msgspec.inspect.StructType(fields=fields):
            yield from (field.type for field in fields if field.encode_name == step)
        case msgspec.inspect.DictType(key_type=key, value_type=value):
            yield key if step == "key" else value
        case msgspec.inspect.CollectionType(item_type=item):
            yield item
        case msgspec.inspect.TupleType(item_types=items):
            yield from items
        case _:
            return
