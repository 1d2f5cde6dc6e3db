"""The parts of ntm-swaps as spec classes: what they are called, what can be set, what they ask of the controller."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field as PydanticField

from ntm_toolkit import hookimpl
from ntm_toolkit.spec import Count, Dims, Field, NormalizerSpec, PartSpec, SimilaritySpec, StageSpec

if TYPE_CHECKING:
    from ntm_toolkit import parts


class DotProductSpec(SimilaritySpec):
    """K[k, M(i)] = k . M(i): as cosine similarity, but longer slots match more strongly."""

    kind: Literal["dot-product"] = "dot-product"

    def build(self, dims: Dims) -> parts.Similarity:
        """Return the module that computes it."""
        from ntm_swaps.similarity import DotProduct

        return DotProduct()


class NegativeDistanceSpec(SimilaritySpec):
    """K[k, M(i)] = -|k - M(i)|^2: greatest, and 0, where the slot holds the key itself."""

    kind: Literal["negative-distance"] = "negative-distance"

    def build(self, dims: Dims) -> parts.Similarity:
        """Return the module that computes it."""
        from ntm_swaps.similarity import NegativeDistance

        return NegativeDistance()


class SparsemaxSpec(NormalizerSpec):
    """The point of the simplex nearest to the scores, often with exact zeros (Martins & Astudillo 2016, eq. 2)."""

    kind: Literal["sparsemax"] = "sparsemax"

    def build(self, dims: Dims) -> parts.Normalizer:
        """Return the module that computes it."""
        from ntm_swaps.sparse import Sparsemax

        return Sparsemax()


class Entmax15Spec(NormalizerSpec):
    """Half-way between softmax and sparsemax: smooth, with exact zeros (Peters et al. 2019, alpha = 1.5)."""

    kind: Literal["entmax15"] = "entmax15"

    def build(self, dims: Dims) -> parts.Normalizer:
        """Return the module that computes it."""
        from ntm_swaps.sparse import Entmax15

        return Entmax15()


class TopKSpec(NormalizerSpec):
    """Softmax over the k slots with the highest scores; the others get nothing, and no gradient.

    Slots that tie with the k-th all stay, so that equal scores get equal weights (as in a memory not yet written to).
    """

    kind: Literal["top-k"] = "top-k"
    k: Count = PydanticField(default=8, description="How many slots share the weight.")

    def check(self, dims: Dims) -> None:
        """Refuse to keep more slots than there are."""
        if self.k > dims.slots:
            raise ValueError(f"k is {self.k}, and the memory has {dims.slots} slots; use a k of at most {dims.slots}")

    def build(self, dims: Dims) -> parts.Normalizer:
        """Return the module that computes it."""
        from ntm_swaps.sparse import TopK

        return TopK(self)


class ScalarShiftSpec(StageSpec):
    """w~(i) = (1 - f) w(i - n mod N) + f w(i - n - 1 mod N), for one emitted offset o = n + f, n = floor(o).

    The paper's alternative to a distribution over shifts (Graves et al. 2014, section 3.3.2): an offset of 6.7 means
    s(6) = .3 and s(7) = .7. It reaches every slot of the ring with one number, where a softmax over offsets needs one
    number for each.
    """

    kind: Literal["scalar-shift"] = "scalar-shift"
    range: Annotated[float, PydanticField(gt=0)] | None = PydanticField(
        default=None,
        description="The largest offset, in slots, in either direction: the offset is range * tanh(emitted). Unless "
        "given, the emitted number is the offset itself and goes round the ring as often as it likes.",
    )

    def interface(self, dims: Dims) -> Mapping[str, Field]:
        """The offset: in slots, or in (-1, 1) as a share of the range."""
        return {"offset": Field(1, "none" if self.range is None else "tanh")}

    def neutral(self, dims: Dims) -> Mapping[str, float | Sequence[float]]:
        """No offset leaves the weighting where it is."""
        return {"offset": 0.0}

    def build(self, dims: Dims) -> parts.Stage:
        """Return the module that computes it."""
        from ntm_swaps.ring import ScalarShift

        return ScalarShift(self)


class JumpSpec(StageSpec):
    """w~ = (1 - g) w + g w moved by d: stay, or jump by a distance of one's own.

    The gate mixes as in interpolation (Graves et al. 2014, eq. 7), and the weighting is moved as in `scalar-shift`, by
    a real distance around the ring. It lets a head that walks slot by slot also take one long leap, such as back to
    the start of what was written: what the Baby-NTM's "jump by the input's length" does on a tape (Suzgun et al. 2019;
    Deletang et al. 2022). With `learned`, each head has one distance that is trained, as a stride; otherwise the
    controller emits it at each step.
    """

    kind: Literal["jump"] = "jump"
    distance: Literal["learned", "emitted"] = PydanticField(
        default="learned", description="learned: a parameter for each head; emitted: a field, anew at each step."
    )
    start: float = PydanticField(
        default=0.5, description="The learned distance before training, in slots; added to an emitted one."
    )

    def interface(self, dims: Dims) -> Mapping[str, Field]:
        """The gate g in (0, 1), and the distance where the controller emits it."""
        gate = {"gate": Field(1, "sigmoid")}
        return gate if self.distance == "learned" else {**gate, "distance": Field(1)}

    def neutral(self, dims: Dims) -> Mapping[str, float | Sequence[float]]:
        """With its gate closed it stays."""
        return {"gate": 0.0}

    def build(self, dims: Dims) -> parts.Stage:
        """Return the module that computes it."""
        from ntm_swaps.ring import Jump

        return Jump(self, dims)


@hookimpl
def ntm_register_parts() -> Sequence[type[PartSpec]]:
    """All parts of this distribution."""
    return [
        DotProductSpec,
        NegativeDistanceSpec,
        SparsemaxSpec,
        Entmax15Spec,
        TopKSpec,
        ScalarShiftSpec,
        JumpSpec,
    ]
