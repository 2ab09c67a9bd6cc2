"""Event routes: which stages an event starts, as `pipeline.py` says."""

from collections.abc import Sequence
from typing import Any

import msgspec

from leadflood.engine.queue.event import Event, name_of
from leadflood.engine.queue.stage import Stage


class Step(msgspec.Struct, frozen=True):
    """One line of the pipeline page: this event starts a task of that stage."""

    on: type[Event]
    run: type[Stage[Any, Any, Any]]


class EventRoute(msgspec.Struct, frozen=True):
    """The routes of an event type, looked up once.

    `name` is its tag; `internal`: it is not logged; `stages` are those it starts.
    `is_keyed`, `has_subject` and `has_version`: its class says so itself.
    """

    name: str
    internal: bool
    stages: tuple[str, ...]
    is_keyed: bool
    has_subject: bool
    has_version: bool


class EventRoutes:
    """All steps, by event type. An event nobody listens to is only logged."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._stages: dict[type[Event], list[str]] = {}
        for step in steps:
            self._stages.setdefault(step.on, []).append(step.run.name)
        self._routes: dict[type[Event], EventRoute] = {}

    def find(self, event_type: type[Event]) -> EventRoute:
        """Return the route of an event type."""
        route = self._routes.get(event_type)
        if route is None:
            route = self._routes[event_type] = EventRoute(
                name=name_of(event_type),
                internal=event_type.internal,
                stages=tuple(self._stages.get(event_type, ())),
                is_keyed=event_type.job_key is not Event.job_key,
                has_subject=event_type.subject is not Event.subject,
                has_version=event_type.version is not Event.version,
            )
        return route
