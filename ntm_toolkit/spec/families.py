"""The families of parts that a plugin can provide, and what each kind of spec declares.

Spec classes are torch-free: they declare; `build` imports torch and makes the module that computes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import AfterValidator
from pydantic import Field as PydanticField

from ntm_toolkit.spec.declarations import Dims, Field, Needs, Noise, StateTensor
from ntm_toolkit.spec.parts import NamedPartSpec, PartSpec, distinct_names

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import torch

    from ntm_toolkit import parts
    from ntm_toolkit.ablation.executors import Executor

Count = Annotated[int, PydanticField(ge=1, le=1 << 24)]
"""A size: at least 1, and small enough that a slip of the keyboard is caught before memory is."""


class InitializerSpec(PartSpec):
    """Where a tensor starts: a memory, a weighting, or the reads of step 0."""

    family = "initializer"

    def build(self, shape: tuple[int, ...]) -> parts.Initializer:
        """Return the module whose value has that shape (without a batch dimension)."""
        raise NotImplementedError


class SimilaritySpec(PartSpec):
    """How alike a key and a slot of the memory are."""

    family = "similarity"

    def build(self, dims: Dims) -> parts.Similarity:
        """Return the module (keys (batch, heads, width), memory view) -> scores (batch, heads, slots)."""
        raise NotImplementedError


class NormalizerSpec(PartSpec):
    """How scores over the slots become a weighting."""

    family = "normalizer"

    def build(self, dims: Dims) -> parts.Normalizer:
        """Return the module scores (batch, heads, slots) -> weighting (batch, heads, slots)."""
        raise NotImplementedError


class StageSpec(NamedPartSpec):
    """One step of addressing: it takes a weighting and gives a weighting."""

    family = "stage"

    neutralized: bool = PydanticField(
        default=False,
        description="Whether it lets the weighting through as it is, with all its parameters and fields: for ablations "
        "of stages that have a neutral setting.",
    )

    @property
    def sums_to_less(self) -> bool:
        """Whether the weighting it gives may sum to less than one."""
        return False

    def interface(self, dims: Dims) -> Mapping[str, Field]:
        """Return the fields it asks of the controller at each step, for each head."""
        return {}

    def state(self, dims: Dims) -> Mapping[str, StateTensor]:
        """Return the tensors it keeps from step to step; its module then takes and returns them."""
        return {}

    def noise(self, dims: Dims) -> Mapping[str, Noise]:
        """Return the random numbers that it consumes at each step, found in `view.noise`."""
        return {}

    def needs(self) -> Needs:
        """Return the trackers and the other head groups whose values it consults."""
        return Needs()

    def neutral(self, dims: Dims) -> Mapping[str, float | Sequence[float]] | None:
        """Return the field values at which it is the identity, or None where there are none."""
        return None

    def estimate_numbers(self, dims: Dims) -> int:
        """Return about how many numbers it makes at each step for each head, by which is judged what would fit."""
        return 2 * dims.slots

    def build(self, dims: Dims) -> parts.Stage:
        """Return the module that computes it."""
        raise NotImplementedError


class HeadSpec(NamedPartSpec):
    """A group of alike heads, and the addressing that makes their weightings."""

    family = "head"

    count: Count = PydanticField(default=1, description="How many alike heads the group has.")
    addressing: Annotated[list[StageSpec], AfterValidator(distinct_names)] = PydanticField(
        description="The stages that make the weighting, in order."
    )
    initial_weighting: InitializerSpec | None = PydanticField(
        default=None, description="The weighting before the first step; the kind of head chooses unless given."
    )

    @classmethod
    def examples(cls) -> list[Self]:
        """A head without addressing, where its kind requires nothing else: its weighting stays as it started."""
        required = [name for name, field in cls.model_fields.items() if field.is_required()]
        return [cls(addressing=[])] if required == ["addressing"] and not cls.is_family() else super().examples()

    def interface(self, dims: Dims) -> Mapping[str, Field]:
        """Return the fields that the head itself asks of the controller, beside those of its stages."""
        return {}

    def needs(self) -> Needs:
        """Return the trackers and the other head groups whose values it consults."""
        return Needs()

    def read_size(self, dims: Dims) -> int:
        """Return the size of what one head reads at each step; 0 for a head that only writes."""
        return 0

    def writes(self) -> bool:
        """Return whether the head changes the memory."""
        return False

    def initial_reads(self) -> InitializerSpec | None:
        """Return where the read vectors start; None for a head that only writes."""
        return None

    def build(self, dims: Dims) -> parts.Head:
        """Return the module that computes it."""
        raise NotImplementedError


class ControllerSpec(PartSpec):
    """The network that sees the input and the previous reads and emits the interface."""

    family = "controller"

    def output_size(self) -> int:
        """Return the size of its output."""
        raise NotImplementedError

    def estimate_parameters(self, dims: Dims) -> int:
        """Return about how many parameters it has, by which is judged what would fit in memory."""
        return 4 * dims.hidden * (dims.inputs + dims.total_reads + dims.hidden)

    def build(self, dims: Dims) -> parts.Controller:
        """Return the module that computes it."""
        raise NotImplementedError


class InterfaceSpec(PartSpec):
    """The map from the controller's output to all fields of all heads, stages and trackers."""

    family = "interface"
    default_kind = "linear"

    def build(self, hidden: int, slots: Sequence[parts.FieldSlot]) -> parts.Interface:
        """Return the module (controller output (batch, hidden)) -> raw fields (batch, total size), in slot order."""
        raise NotImplementedError


class TrackerSpec(NamedPartSpec):
    """What the memory keeps about its own use between steps, for stages to consult."""

    family = "tracker"

    def interface(self, dims: Dims, group: str) -> Mapping[str, Field]:
        """Return the fields that it wants from the controller for the heads of that group (its `dims.heads`)."""
        return {}

    def state(self, dims: Dims) -> Mapping[str, StateTensor]:
        """Return the tensors that it keeps from step to step."""
        return {}

    def needs(self) -> Needs:
        """Return the other trackers and the head groups that it consults."""
        return Needs()

    def build(self, dims: Dims) -> parts.Tracker:
        """Return the module that computes it."""
        raise NotImplementedError


class MemorySpec(PartSpec):
    """The memory: named state tensors, how they start, and what reading and writing mean."""

    family = "memory"
    default_kind = "matrix"

    slots: Count = PydanticField(default=128, description="N, the number of slots.")
    width: Count = PydanticField(default=20, description="W, the size of each slot.")
    trackers: Annotated[list[TrackerSpec], AfterValidator(distinct_names)] = PydanticField(
        default=[], description="What the memory keeps about its own use."
    )

    def build(self, dims: Dims) -> parts.Memory:
        """Return the module that computes it."""
        raise NotImplementedError


class ModelSpec(PartSpec):
    """A whole sequence model: the Neural Turing Machine, or a baseline beside it."""

    family = "model"
    default_kind = "ntm"
    has_steps: ClassVar[bool] = False
    """Whether it is a machine, whose steps a runtime executes; any other model executes itself."""

    def longest_sequence(self) -> int | None:
        """Return the number of steps of the longest sequence that it takes; None where there is no bound."""
        return None

    def estimate_bytes(self, inputs: int, outputs: int, batch: int, steps: int, item: int) -> int:
        """Return about how much memory one training step takes, for numbers of `item` bytes."""
        return 0

    def build(self, inputs: int, outputs: int, seed: int = 0) -> parts.SequenceModel:
        """Return the sequence module, each parameter's start drawn from (seed, its path)."""
        raise NotImplementedError


class TaskSpec(PartSpec):
    """A generator of episodes, with its metrics and, where one exists, its optimal predictor."""

    family = "task"
    evaluation_fields: ClassVar[Sequence[str]] = ()
    """Fields that say what evaluation measures and nothing of training; `ntm eval` may change them, as it may axes."""

    def sizes(self) -> tuple[int, int]:
        """Return the channels of the input and of the output."""
        raise NotImplementedError

    def longest(self, **axes: int) -> int:
        """Return the number of steps of the longest episode that training draws, or that can be drawn at those axes."""
        raise NotImplementedError

    def axes(self) -> Mapping[str, str]:
        """Return the axes along which evaluation can set the episodes' size, each with what it means."""
        return {}

    def trained(self) -> Mapping[str, range]:
        """Return between which sizes training draws, by axis; `ntm eval` tests beyond their ends unless told otherwise.

        By default read from the field of an axis's name: a whole number, or something with a `min` and a `max`. An axis
        that is not returned is left as it is in training.
        """
        found = {axis: _sizes(getattr(self, axis, None)) for axis in self.axes()}
        return {axis: sizes for axis, sizes in found.items() if sizes is not None}

    def metrics(self) -> Sequence[str] | None:
        """Return the names of its metrics, for `ntm validate`; None leaves them to be found out before training."""
        return None

    def build(self) -> parts.Task:
        """Return the generator."""
        raise NotImplementedError


def _sizes(field: Any) -> range | None:
    """Return the whole numbers that a field of a task stands for, or None where it stands for none."""
    least, most = getattr(field, "min", field), getattr(field, "max", field)
    if isinstance(least, bool) or not isinstance(least, int) or not isinstance(most, int):
        return None
    return range(least, most + 1)


class OptimizerSpec(PartSpec):
    """How gradients change parameters."""

    family = "optimizer"
    elementwise: ClassVar[bool] = False
    """Whether it changes each number by the gradients of this number alone.

    It is then given all parameters as one vector, which takes a fraction of the time.
    """

    def scalars(self, sequences: int) -> Mapping[str, Any]:
        """Return what every param group of the optimiser is set to before an update, by torch's name.

        Args:
            sequences: how many sequences the model has been trained on, >= 0; schedules are functions of it alone.
        """
        return {}

    def build(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """Return the optimiser; the names of `scalars` are keys of its param groups."""
        raise NotImplementedError


class SinkSpec(NamedPartSpec):
    """Where metrics go beside the run folder's own JSON lines."""

    family = "sink"

    def build(self, folder: Path) -> parts.Sink:
        """Return the sink of a run that is kept in `folder`."""
        raise NotImplementedError


class ExecutorSpec(PartSpec):
    """Where the runs of an ablation are executed: local processes, or an existing cluster engine."""

    family = "executor"
    default_kind = "local"

    def build(self) -> Executor:
        """Return what executes them."""
        raise NotImplementedError


class ImporterSpec(PartSpec):
    """How weights trained by another implementation become a machine's parameters."""

    family = "importer"

    def build(self) -> parts.Importer:
        """Return the converter."""
        raise NotImplementedError


FAMILIES: tuple[type[PartSpec], ...] = (
    ModelSpec,
    MemorySpec,
    ControllerSpec,
    InterfaceSpec,
    HeadSpec,
    StageSpec,
    TrackerSpec,
    InitializerSpec,
    SimilaritySpec,
    NormalizerSpec,
    TaskSpec,
    OptimizerSpec,
    SinkSpec,
    ExecutorSpec,
    ImporterSpec,
)
"""Every family, in the order in which they are listed to a user."""
