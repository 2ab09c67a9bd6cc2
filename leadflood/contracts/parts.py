"""Parts that a process hands to the stages it builds."""

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from leadflood.contracts.ports.email import EmailVerifier
from leadflood.contracts.ports.people import PeopleSource, PersonEnricher
from leadflood.contracts.ports.sender import Sender
from leadflood.contracts.ports.text import TextWriter
from leadflood.contracts.values import Channel
from leadflood.engine.clock import Clock
from leadflood.engine.ids import Ids

SettingsT = TypeVar("SettingsT", bound=msgspec.Struct)


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """The configured providers by what they do, in the order of the catalog.

    `verifier` and `writer` are None where no provider is configured that can.
    `missing_senders`: the setting to make, for each channel that no configured provider sends on.
    """

    sources: Mapping[str, PeopleSource] = {}
    enrichers: Mapping[str, PersonEnricher] = {}
    verifier: EmailVerifier | None = None
    writer: TextWriter | None = None
    senders: Mapping[Channel, Sender] = {}
    missing_senders: Mapping[Channel, str] = {}


class StageParts(msgspec.Struct, frozen=True, kw_only=True):
    """The parts a stage may be built from; `settings` holds each slice's own by their struct."""

    ids: Ids
    clock: Clock
    ports: Ports
    settings: Mapping[type[msgspec.Struct], msgspec.Struct]

    def settings_of(self, kind: type[SettingsT]) -> SettingsT:
        """Return a slice's settings."""
        found = self.settings[kind]
        if not isinstance(found, kind):
            raise TypeError(f"{found!r} is no {kind.__qualname__}")
        return found
