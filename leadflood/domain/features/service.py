"""Features without a snapshot: the vectors that an unsaved ICP would see."""

from collections.abc import Callable, Sequence

from leadflood.domain.features.rules.prepared_target import PreparedTarget
from leadflood.domain.features.rules.vector import compute_vector
from leadflood.domain.features.schemas import Vector
from leadflood.domain.icp.schemas import Target
from leadflood.domain.leads.schemas.profiles import LeadProfile

ComputeVectors = Callable[[Sequence[LeadProfile]], list[Vector]]


class FeatureService:
    """The use cases of features."""

    def vectors_for(self, target: Target) -> ComputeVectors:
        """Return the function that computes leads' vectors for a target, as the pipeline does.

        Both compute only, a few thousand vectors a second: call them in a thread.
        """
        prepared = PreparedTarget(target)

        def compute(profiles: Sequence[LeadProfile]) -> list[Vector]:
            return [compute_vector(profile, prepared) for profile in profiles]

        return compute
