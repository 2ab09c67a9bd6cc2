"""Something that happened: a struct of the slice where it did, its tag is its name.

An event is also the task of the stages that listen to it (`pipeline.py` says which).
"""

from typing import ClassVar
from uuid import UUID

import msgspec


class Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type"):
    """Root of all events; subclasses set `tag="area.noun.past_verb"`.

    `internal` events are only routed to stages, not written to the event log.
    """

    internal: ClassVar[bool] = False

    def subject(self) -> UUID | None:
        """Return the thing it is about (a lead, a run): what a timeline filters on."""
        return None

    def version(self) -> int | None:
        """Return the thing's version after this event, where it has one."""
        return None

    def job_key(self) -> str | None:
        """Return what makes the follow-up job unique within its run and stage; None: nothing."""
        return None


def name_of(event: Event | type[Event]) -> str:
    """Return an event's name, which is its tag."""
    return str(event.__struct_config__.tag)
