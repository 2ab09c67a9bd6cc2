"""Which stage an event starts: the table that `pipeline.py` writes, as the engine reads it."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from leadflood.engine.queue.event import Event, name_of
from leadflood.engine.queue.stage import Stage


class Step(msgspec.Struct, frozen=True):
    """One line of the pipeline page: this event starts a task of that stage."""

    on: type[Event]
    run: type[Stage[Any, Any, Any]]


class Route(msgspec.Struct, frozen=True):
    """What the committer needs to know of an event type, looked up once."""

    name: str
    internal: bool
    stages: tuple[str, ...]
    is_keyed: bool
    has_subject: bool
    has_version: bool


class Routes:
    """All steps, by event type. An event nobody listens to is only logged."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._stages: dict[type[Event], list[str]] = {}
        for step in steps:
            self._stages.setdefault(step.on, []).append(step.run.name)
        self._routes: dict[type[Event], Route] = {}

    def find(self, event_type: type[Event]) -> Route:
        """Tell how an event type travels."""
        route = self._routes.get(event_type)
        if route is None:
            route = self._routes[event_type] = Route(
                name=name_of(event_type),
                internal=event_type.internal,
                stages=tuple(self._stages.get(event_type, ())),
                is_keyed=event_type.job_key is not Event.job_key,
                has_subject=event_type.subject is not Event.subject,
                has_version=event_type.version is not Event.version,
            )
        return route

    def listed_types(self) -> Iterable[type[Event]]:
        """List the event types that start something."""
        return self._stages.keys()
