"""Feature vectors: computed of a lead's profile, encoded in one canonical form, hashed."""

import hashlib

import msgspec

from leadflood.domain.features.rules.prepared_target import PreparedTarget
from leadflood.domain.features.rules.registry import REGISTRY, FeatureSubject
from leadflood.domain.features.schemas import Vector
from leadflood.domain.leads.schemas.profiles import LeadProfile

_COMPUTES = tuple((str(feature.name), feature.compute) for feature in REGISTRY)
_ENCODER = msgspec.json.Encoder(order="sorted")


def compute_vector(profile: LeadProfile, target: PreparedTarget) -> Vector:
    """Compute every feature of a lead; unknown ones are left out."""
    subject = FeatureSubject(profile, target)
    vector: Vector = {}
    for name, compute in _COMPUTES:
        value = compute(subject)
        if value is not None:
            vector[name] = value
    return vector


def canonical_json(vector: Vector) -> bytes:
    """Encode a vector in the one form that is hashed and stored: names sorted, no spaces."""
    return _ENCODER.encode(vector)


def vector_hash(encoded: bytes) -> bytes:
    """Return the SHA-256 of a vector's canonical form."""
    return hashlib.sha256(encoded).digest()
