"""A lead's profile as a vector of features, and the vector's name. Pure."""

import hashlib

import msgspec

from leadflood.domain.features.rules.prepared_target import PreparedTarget
from leadflood.domain.features.rules.registry import REGISTRY, FeatureSubject
from leadflood.domain.features.schemas import Vector
from leadflood.domain.leads.schemas import LeadProfile

_COMPUTES = tuple((str(feature.name), feature.compute) for feature in REGISTRY)
_ENCODER = msgspec.json.Encoder(order="sorted")


def compute_vector(profile: LeadProfile, aim: PreparedTarget) -> Vector:
    """Compute every feature of a lead; what is not known is left out."""
    subject = FeatureSubject(profile, aim)
    vector: Vector = {}
    for name, compute in _COMPUTES:
        value = compute(subject)
        if value is not None:
            vector[name] = value
    return vector


def canonical_json(vector: Vector) -> bytes:
    """Write a vector in the one form that is hashed and stored: names sorted, no spaces."""
    return _ENCODER.encode(vector)


def vector_hash(encoded: bytes) -> bytes:
    """Name a vector by the SHA-256 of its canonical form."""
    return hashlib.sha256(encoded).digest()
