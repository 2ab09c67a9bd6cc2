"""Computing features without keeping them: what an ICP that is only thought of would see."""

from collections.abc import Callable, Sequence

from leadflood.domain.features.rules.prepared_target import PreparedTarget
from leadflood.domain.features.rules.vector import compute_vector
from leadflood.domain.features.schemas import Vector
from leadflood.domain.icp.schemas import Target
from leadflood.domain.leads.schemas import LeadProfile

Vectors = Callable[[Sequence[LeadProfile]], list[Vector]]


class FeatureService:
    """The use cases of features."""

    def vectors_for(self, target: Target) -> Vectors:
        """Make the function that computes leads' vectors for a target, as the pipeline does.

        It computes only, a few thousand vectors a second: call it in a thread.
        """
        aim = PreparedTarget(target)

        def compute(profiles: Sequence[LeadProfile]) -> list[Vector]:
            return [compute_vector(profile, aim) for profile in profiles]

        return compute
