"""Dynamic N-grams (Graves et al. 2014, section 4.4), as a spec class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field as PydanticField
from pydantic import model_validator
from pydantic_core import PydanticCustomError

from ntm_toolkit.spec.families import TaskSpec
from ntm_toolkit.tasks.specs.shared import Range

if TYPE_CHECKING:
    from ntm_toolkit import parts


class DynamicNGramsSpec(TaskSpec):
    """Predict each next bit of a sequence drawn from a table of its own: the last bits say how likely a 1 is.

    Each episode draws for each of the 2^context contexts a probability ~ Beta(1/2, 1/2), then its bits: `context` fair
    ones, the prefix, and each further bit by its context. At step t the input is bit t - 1 (0 at the first step) and
    the target bit t, so that an episode of length L takes L steps. With `score_prefix` a sequence costs as in the
    paper, which counts all of its bits: about 133.3 bits at best; without, `context` bits less.
    """

    kind: Literal["dynamic-ngrams"] = "dynamic-ngrams"
    context: Annotated[int, PydanticField(ge=1, le=16)] = PydanticField(
        default=5, description="How many bits the next one depends on; 5 are 6-grams."
    )
    length: Range = PydanticField(default=Range(min=200, max=200), description="Bits in an episode.")
    score_prefix: bool = PydanticField(
        default=True, description="Whether the first `context` bits, of which nothing can be known, are scored too."
    )

    @model_validator(mode="after")
    def _long_enough(self) -> Self:
        if self.length.min <= self.context:
            text = f"length.min {self.length.min} leaves no bit after the prefix of {self.context}; make it larger"
            raise PydanticCustomError("ntm", "{text}", {"text": text})
        return self

    def sizes(self) -> tuple[int, int]:
        """The bit before, and the logit of the next one being 1."""
        return 1, 1

    def longest(self, **axes: int) -> int:
        """Steps at the largest length, or at the one that is given."""
        return axes.get("length", self.length.max)

    def axes(self) -> Mapping[str, str]:
        """It generalises in length."""
        return {"length": "bits in an episode"}

    def metrics(self) -> Sequence[str]:
        """The cost, and what of it the optimal predictor would have saved on the same sequence."""
        return "bits_per_sequence", "bits_above_optimum"

    def build(self) -> parts.Task:
        """Return the generator."""
        from ntm_toolkit.tasks.dynamic_ngrams import DynamicNGrams

        return DynamicNGrams(self)
