"""The paper's stages of addressing as spec classes: content, interpolate, shift, sharpen (Graves et al. 2014, 3.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field as PydanticField

from ntm_toolkit.plugins.hooks import hookimpl
from ntm_toolkit.spec.declarations import Activation, Dims, Field, Needs
from ntm_toolkit.spec.families import NormalizerSpec, SimilaritySpec, StageSpec
from ntm_toolkit.spec.parts import PartSpec

if TYPE_CHECKING:
    from ntm_toolkit import parts

Epsilon = Annotated[float, PydanticField(ge=0, le=1)]


class CosineSpec(SimilaritySpec):
    """K[k, M(i)] = k . M(i) / (|k| |M(i)|) (Graves et al. 2014, eq. 6), with the epsilon where implementations put it.

    A constant memory of 1e-6 has rows of norm about 4.5e-6 at width 20, so an epsilon far above 1e-8 in the
    denominator leaves nothing of the similarity until something has been written.
    """

    kind: Literal["cosine"] = "cosine"
    epsilon: Epsilon = PydanticField(default=1e-8, description="Keeps a zero vector from dividing by zero.")
    epsilon_in: Literal["denominator", "maximum", "squares", "operands"] = PydanticField(
        default="denominator",
        description="Where it stands: added to |k| |M(i)|; as a lower bound of each norm; added under each norm's "
        "root and to their product (deepmind/dnc); or added to every element of both vectors (pytorch-ntm).",
    )

    def build(self, dims: Dims) -> parts.Similarity:
        """Return the module that computes it."""
        from ntm_toolkit.addressing.similarity import Cosine

        return Cosine(self)


class SoftmaxSpec(NormalizerSpec):
    """w(i) = exp(s(i)) / sum_j exp(s(j)) (Graves et al. 2014, eq. 5)."""

    kind: Literal["softmax"] = "softmax"

    def build(self, dims: Dims) -> parts.Normalizer:
        """Return the module that computes it."""
        from ntm_toolkit.addressing.normalizer import Softmax

        return Softmax()


class ContentSpec(StageSpec):
    """w_c(i) = softmax_i(beta K[k, M(i)]) (Graves et al. 2014, eq. 5); the incoming weighting is not used."""

    kind: Literal["content"] = "content"
    similarity: SimilaritySpec = PydanticField(default=CosineSpec(), description="How alike a key and a slot are.")
    normalizer: NormalizerSpec = PydanticField(
        default=SoftmaxSpec(), description="How scores over the slots become a weighting."
    )
    key_activation: Activation = PydanticField(
        default="tanh", description="What the key's raw numbers go through; none in pytorch-ntm."
    )
    strength_activation: Activation = PydanticField(
        default="softplus", description="What the strength's raw number goes through."
    )

    def interface(self, dims: Dims) -> Mapping[str, Field]:
        """The key k (width) and its strength beta (1)."""
        return {"key": Field(dims.width, self.key_activation), "strength": Field(1, self.strength_activation)}

    def build(self, dims: Dims) -> parts.Stage:
        """Return the module that computes it."""
        from ntm_toolkit.addressing.content import Content

        return Content(self, dims)


class InterpolateSpec(StageSpec):
    """w_g = g w + (1 - g) w_{t-1} (Graves et al. 2014, eq. 7).

    With a `group`, w_{t-1} is where that group was, so that a head can write where was read (Santoro et al. 2016, eq.
    7): head h takes head h of a group of as many heads, and otherwise the mean of all of its heads.
    """

    kind: Literal["interpolate"] = "interpolate"
    activation: Activation = PydanticField(default="sigmoid", description="What the gate's raw number goes through.")
    group: str | None = PydanticField(
        default=None, description="The head group whose weighting of the step before is w_{t-1}; its own unless given."
    )

    def interface(self, dims: Dims) -> Mapping[str, Field]:
        """The gate g in (0, 1)."""
        return {"gate": Field(1, self.activation)}

    def needs(self) -> Needs:
        """The group whose weighting it mixes in."""
        return Needs(groups=() if self.group is None else (self.group,))

    def neutral(self, dims: Dims) -> Mapping[str, float | Sequence[float]]:
        """An open gate leaves the incoming weighting as it is."""
        return {"gate": 1.0}

    def build(self, dims: Dims) -> parts.Stage:
        """Return the module that computes it."""
        from ntm_toolkit.addressing.interpolate import Interpolate

        return Interpolate(self)


class ShiftSpec(StageSpec):
    """w~(i) = sum_j w(j) s(i - j mod N) (Graves et al. 2014, eq. 8), over integer offsets from -radius to radius."""

    kind: Literal["shift"] = "shift"
    radius: Annotated[int, PydanticField(ge=1, le=1 << 20)] = PydanticField(
        default=1, description="The largest offset, in slots, in either direction."
    )
    form: Literal["softmax", "scalar"] = PydanticField(
        default="softmax",
        description="softmax: the controller emits a distribution over the offsets; scalar: it emits one number, cut "
        "to +-radius, whose two neighbouring offsets share the weight.",
    )
    offsets: Literal["ascending", "descending", "centred"] = PydanticField(
        default="ascending",
        description="Which offset each element of the field means: -radius..radius, radius..-radius, or 0, 1, .., "
        "radius, -radius, .., -1.",
    )
    circular: bool = PydanticField(
        default=True, description="Whether what leaves one end enters at the other; otherwise it is lost."
    )

    @property
    def sums_to_less(self) -> bool:
        """A shift that is not circular loses what leaves the ends."""
        return not self.circular

    def offset_list(self) -> list[int]:
        """Return the offset that each element of the kernel means."""
        r = self.radius
        return {
            "ascending": list(range(-r, r + 1)),
            "descending": list(range(r, -r - 1, -1)),
            "centred": [*range(r + 1), *range(-r, 0)],
        }[self.offsets]

    def interface(self, dims: Dims) -> Mapping[str, Field]:
        """The shift s: a distribution over 2 radius + 1 offsets, or one number."""
        if self.form == "scalar":
            return {"shift": Field(1, "none")}
        return {"shift": Field(2 * self.radius + 1, "softmax")}

    def neutral(self, dims: Dims) -> Mapping[str, float | Sequence[float]]:
        """No offset leaves the weighting where it is."""
        if self.form == "scalar":
            return {"shift": 0.0}
        return {"shift": [1.0 if offset == 0 else 0.0 for offset in self.offset_list()]}

    def estimate_numbers(self, dims: Dims) -> int:
        """Every slot times every offset."""
        return 2 * dims.slots * (2 * self.radius + 1)

    def check(self, dims: Dims) -> None:
        """Refuse more offsets than there are slots."""
        if 2 * self.radius + 1 > dims.slots:
            raise ValueError(
                f"a radius of {self.radius} has {2 * self.radius + 1} offsets, more than the memory's {dims.slots} "
                f"slots; use a radius of at most {(dims.slots - 1) // 2}"
            )

    def build(self, dims: Dims) -> parts.Stage:
        """Return the module that computes it."""
        from ntm_toolkit.addressing.shift import Shift

        return Shift(self)


class SharpenSpec(StageSpec):
    """w(i) = w~(i)^gamma / sum_j w~(j)^gamma (Graves et al. 2014, eq. 9).

    The log form, softmax(gamma log(w~ + epsilon)), neither underflows nor divides by zero. The power form is what
    public implementations compute: w~^gamma / (sum w~^gamma + epsilon).
    """

    kind: Literal["sharpen"] = "sharpen"
    activation: Activation = PydanticField(
        default="one-plus-softplus", description="What the sharpness's raw number goes through."
    )
    form: Literal["log", "power"] = PydanticField(
        default="log", description="log: softmax(gamma log(w~ + epsilon)); power: w~^gamma / (sum + epsilon)."
    )
    epsilon: Epsilon = PydanticField(
        default=1e-16, description="Keeps an empty slot's logarithm, or an empty sum, finite."
    )

    @property
    def sums_to_less(self) -> bool:
        """In the power form a large gamma leaves less than epsilon of every element."""
        return self.form == "power"

    def interface(self, dims: Dims) -> Mapping[str, Field]:
        """The sharpness gamma, >= 1 in the paper."""
        return {"sharpness": Field(1, self.activation)}

    def neutral(self, dims: Dims) -> Mapping[str, float | Sequence[float]]:
        """A weighting to the power 1 is itself."""
        return {"sharpness": 1.0}

    def check(self, dims: Dims) -> None:
        """Refuse the logarithm of an empty slot."""
        if self.form == "log" and self.epsilon == 0:
            raise ValueError("with epsilon: 0 the log form takes log(0) of every empty slot; use 1e-16, or form: power")

    def build(self, dims: Dims) -> parts.Stage:
        """Return the module that computes it."""
        from ntm_toolkit.addressing.sharpen import Sharpen

        return Sharpen(self)


@hookimpl
def ntm_register_parts() -> Sequence[type[PartSpec]]:
    """The paper's stages, and what the content stage is made of."""
    return [ContentSpec, InterpolateSpec, ShiftSpec, SharpenSpec, CosineSpec, SoftmaxSpec]
