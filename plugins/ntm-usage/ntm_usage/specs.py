"""The parts of ntm-usage as spec classes: what they are called, what they keep, consult, draw and ask for.

Least-used access is from memory-augmented neural networks (Santoro et al. 2016), least-recently-used addressing and
sampled addressing from dynamic Neural Turing Machines (Gulcehre et al. 2016).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field as PydanticField

from ntm_toolkit import hookimpl
from ntm_toolkit.spec import Dims, Field, Needs, Noise, PartSpec, StageSpec, StateTensor, TrackerSpec

if TYPE_CHECKING:
    from ntm_toolkit import parts

Share = Annotated[float, PydanticField(ge=0, le=1)]


class LeastUsedSpec(TrackerSpec):
    """w^u_t = gamma w^u_{t-1} + w^r_t + w^w_t, and how slots rank by it (Santoro et al. 2016, section 3.2).

    It keeps `usage`, w^u, and `rank`, (batch, slots): 0 for the least used slot of the step before, 1 for the next, and
    so on, slots of equal usage in their order. The paper's w^lu is 1 where the rank is below n. No gradient flows.
    """

    differentiable: ClassVar[bool] = False  # no gradient flows into usage
    kind: Literal["least-used"] = "least-used"
    decay: Share = PydanticField(default=0.95, description="gamma: how much of a slot's usage stays at each step.")
    groups: list[str] | None = PydanticField(
        default=None, description="The head groups whose weightings count as use; all unless given."
    )

    def state(self, dims: Dims) -> Mapping[str, StateTensor]:
        """Usage and rank of every slot."""
        return {"usage": StateTensor((dims.slots,)), "rank": StateTensor((dims.slots,))}

    def needs(self) -> Needs:
        """The groups that it counts."""
        return Needs(groups=tuple(self.groups or ()))

    def build(self, dims: Dims) -> parts.Tracker:
        """Return the module that computes it."""
        from ntm_usage.least_used import LeastUsed

        return LeastUsed(self)


class LeastUsedAccessSpec(StageSpec):
    """w^w_t = g w^r_{t-1} + (1 - g) w^lu_{t-1}, g = sigmoid(alpha) (Santoro et al. 2016, eq. 7).

    Write where was read at the step before (to update), or where nothing of use is (to allocate). The incoming
    weighting is not used. In the paper all heads have one w^lu, which is 1 at each of the n least used slots, so that a
    weighting sums to more than 1; here `even` gives each of the n slots 1/n of it, and `one-each` gives each head a
    slot of its own, which is the paper's wherever there is one head. Head h goes where head h of the other group has
    been if both groups have as many; otherwise w^r_{t-1} is the mean of the other group's heads.
    """

    kind: Literal["least-used-access"] = "least-used-access"
    tracker: str = PydanticField(default="least-used", description="The name of a tracker of kind least-used.")
    group: str = PydanticField(default="read", description="The head group whose previous weighting is w^r_{t-1}.")
    share: Literal["one-each", "even"] = PydanticField(
        default="one-each",
        description="one-each: head h allocates the h-th least used slot; even: each head allocates all of the n least "
        "used, n being the number of heads.",
    )

    def interface(self, dims: Dims) -> Mapping[str, Field]:
        """The gate g in (0, 1)."""
        return {"gate": Field(1, "sigmoid")}

    def needs(self) -> Needs:
        """The tracker that ranks the slots, and the group that reads."""
        return Needs(trackers=(self.tracker,), groups=(self.group,))

    def check(self, dims: Dims) -> None:
        """Refuse more heads than there are slots to allocate."""
        if dims.heads > dims.slots:
            raise ValueError(f"{dims.heads} heads allocate {dims.heads} slots, and the memory has only {dims.slots}")

    def build(self, dims: Dims) -> parts.Stage:
        """Return the module that computes it."""
        from ntm_usage.least_used import LeastUsedAccess

        return LeastUsedAccess(self)


class LeastRecentlyUsedSpec(StageSpec):
    """w = softmax(z_t - g_t v_{t-1}), v_t = a v_{t-1} + (1 - a) z_t (Gulcehre et al. 2016).

    Slots that matched lately are avoided, as much as the controller says. z is the logarithm of the incoming
    weighting: behind a content stage with softmax it differs from the paper's beta K[k, M] by one number for all
    slots, which softmax takes out again, so the result is the paper's. No gradient flows through v.
    """

    differentiable: ClassVar[bool] = False  # no gradient flows through v
    kind: Literal["least-recently-used"] = "least-recently-used"
    decay: Share = PydanticField(default=0.1, description="a: how much of the average stays at each step.")
    epsilon: Annotated[float, PydanticField(gt=0, le=1)] = PydanticField(
        default=1e-16, description="Added to the weighting, whose logarithm is taken."
    )

    def interface(self, dims: Dims) -> Mapping[str, Field]:
        """The avoidance g in (0, 1)."""
        return {"avoidance": Field(1, "sigmoid")}

    def state(self, dims: Dims) -> Mapping[str, StateTensor]:
        """The average v of each head's logits."""
        return {"average": StateTensor((dims.heads, dims.slots))}

    def neutral(self, dims: Dims) -> Mapping[str, float | Sequence[float]]:
        """Where nothing is avoided the weighting stays as it is."""
        return {"avoidance": 0.0}

    def build(self, dims: Dims) -> parts.Stage:
        """Return the module that computes it."""
        from ntm_usage.least_recently_used import LeastRecentlyUsed

        return LeastRecentlyUsed(self)


class GumbelSpec(StageSpec):
    """w = softmax((log w~ + G) / tau), G ~ Gumbel(0, 1) for each slot (Jang et al. 2017, eq. 2).

    A sample of one slot from the incoming weighting, relaxed; straight-through, it is one-hot, with the relaxed
    sample's gradient. In evaluation G is 0: straight-through then takes the largest weight, as in the dynamic Neural
    Turing Machine's discrete addressing (Gulcehre et al. 2016).
    """

    kind: Literal["gumbel"] = "gumbel"
    temperature: Annotated[float, PydanticField(gt=0)] = PydanticField(
        default=1.0, description="tau: the lower, the nearer to one slot."
    )
    straight_through: bool = PydanticField(
        default=True, description="Whether exactly one slot is taken, with the relaxed sample's gradient."
    )
    epsilon: Annotated[float, PydanticField(gt=0, le=1)] = PydanticField(
        default=1e-16, description="Added to the weighting, whose logarithm is taken."
    )

    @property
    def differentiable(self) -> bool:  # type: ignore[override]
        """Straight-through, its gradient is the relaxed sample's instead of its own."""
        return not self.straight_through

    def noise(self, dims: Dims) -> Mapping[str, Noise]:
        """G for each head and slot, in training only."""
        return {"gumbel": Noise((dims.heads, dims.slots), "gumbel", training_only=True, off=0.0)}

    def build(self, dims: Dims) -> parts.Stage:
        """Return the module that computes it."""
        from ntm_usage.gumbel import Gumbel

        return Gumbel(self)


@hookimpl
def ntm_register_parts() -> Sequence[type[PartSpec]]:
    """All parts of this distribution."""
    return [LeastUsedSpec, LeastUsedAccessSpec, LeastRecentlyUsedSpec, GumbelSpec]
