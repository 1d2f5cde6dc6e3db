"""Episodes from files, as a spec class: one's own data, without code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field as PydanticField
from pydantic import field_validator, model_validator

from ntm_toolkit.spec.families import TaskSpec
from ntm_toolkit.spec.files import DataFile, FileField
from ntm_toolkit.tasks.specs.shared import BIT_METRICS

if TYPE_CHECKING:
    from ntm_toolkit import parts
    from ntm_toolkit.tasks.episode_data import EpisodeData

EXAMPLE = Path(__file__).parent / "example_episodes.jsonl"
"""Four episodes of copying a bit, each as it may be written."""


class EpisodesFileSpec(TaskSpec):
    """Episodes of your own, from files of JSON lines or of tensors: some to train on, others to be evaluated on.

    Training draws each sequence anew from all in its file; evaluation goes through the held-out ones in their order,
    and begins again where it measures more than there are. A line of JSON is one episode, {"inputs": [[...], ...],
    "targets": [[...], ...], "mask": [...]}, with a list of channels for each step; a .safetensors file has tensors of
    these names, inputs and targets (episodes, time, channels), and `lengths` where episodes differ in length. The mask
    says at which steps is scored; without one it is all. The files' hashes are part of the spec.
    """

    evaluation_fields: ClassVar[Sequence[str]] = ("held_out",)

    kind: Literal["episodes-file"] = "episodes-file"
    train: FileField = PydanticField(description="A .jsonl or .safetensors file with the episodes to train on.")
    held_out: FileField = PydanticField(description="One with those that stop rules and evaluation measure.")
    loss: Literal["bits", "squared-error"] = PydanticField(
        default="bits",
        description="How outputs are scored: as logits of bits, by cross-entropy, or as numbers, by squared error.",
    )

    @classmethod
    def examples(cls) -> list[Self]:
        """A file of four episodes of copying."""
        example = DataFile(file=str(EXAMPLE))
        return [cls(train=example, held_out=example), cls(train=example, held_out=example, loss="squared-error")]

    @field_validator("train", "held_out")
    @classmethod
    def _episodes(cls, file: DataFile) -> DataFile:
        _read(file)
        return file

    @model_validator(mode="after")
    def _fit(self) -> Self:
        train, held_out = self.data()
        for what, of_train, of_held_out in zip(("inputs", "targets"), train.sizes, held_out.sizes, strict=True):
            if of_train != of_held_out:
                raise ValueError(
                    f"the {what} have {of_train} channels in {self.train.file}, and {of_held_out} in "
                    f"{self.held_out.file}; they must have as many"
                )
        if self.loss == "bits":
            for data in (train, held_out):
                data.require_bits()
        return self

    def data(self) -> tuple[EpisodeData, EpisodeData]:
        """Return the episodes to train on, and those that are held out."""
        return _read(self.train), _read(self.held_out)

    def sizes(self) -> tuple[int, int]:
        """The channels that the files have."""
        return self.data()[0].sizes

    def longest(self, **axes: int) -> int:
        """Steps of the longest episode in either file."""
        return max(int(data.lengths.max()) for data in self.data())

    def metrics(self) -> Sequence[str]:
        """Those of tasks on bits, or of tasks on numbers."""
        return BIT_METRICS if self.loss == "bits" else ("squared_error", "largest_error")

    def build(self) -> parts.Task:
        """Return what draws from them."""
        from ntm_toolkit.tasks.episodes_file import BitsFromFile, NumbersFromFile

        return BitsFromFile(self) if self.loss == "bits" else NumbersFromFile(self)


def _read(file: DataFile) -> EpisodeData:
    from ntm_toolkit.tasks.episode_data import read_episodes  # which imports NumPy

    return read_episodes(file.path)
