"""Features as they are computed and read."""

from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.domain.leads.schemas.events import LeadEvent

SNAPSHOT_VERSION = 1
"""Raised whenever a feature's meaning changes, so that old and new vectors are never mixed."""

FeatureValue = bool | int | float | str | tuple[str, ...]

Vector = dict[str, FeatureValue]
"""Values by feature name; a name that is not there is not known."""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The features of a lead for an ICP version; never changed."""

    id: UUID
    lead_id: UUID
    icp_id: UUID
    snapshot_version: int
    source_version: int
    vector: Vector
    created_at: datetime


class FeaturesComputed(LeadEvent, frozen=True, tag="features.snapshot.computed"):
    """A snapshot exists; equal inputs give the same snapshot.

    `source_version` is the version of the lead that it was computed from.
    Not `may_draft`: no message is drafted, however well it scores.
    """

    icp_id: UUID
    snapshot_id: UUID
    source_version: int
    may_draft: bool = True
