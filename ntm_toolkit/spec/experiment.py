"""A spec is the whole experiment: the model, the task, the training, the evaluation and the seed (one YAML file)."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from ntm_toolkit.spec.errors import SpecError
from ntm_toolkit.spec.families import ModelSpec, OptimizerSpec, SinkSpec, TaskSpec
from ntm_toolkit.spec.parts import distinct_names
from ntm_toolkit.spec.paths import parse_path
from ntm_toolkit.spec.schedules import NotNegative, Schedule
from ntm_toolkit.spec.strict import StrictModel

Axes = dict[str, Annotated[int, Field(ge=1, le=1 << 20)]]


class ClipSpec(StrictModel):
    """What is done to gradients before the optimiser sees them."""

    value: Annotated[float, Field(gt=0)] | None = Field(default=None, description="Each element is cut to +-value.")
    norm: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="All gradients together are scaled down to this Euclidean norm."
    )
    pass_over: Annotated[int, Field(ge=0, le=1 << 30)] = Field(
        default=0,
        description="How many updates in a row may be passed over because a gradient is not finite though all values "
        "are; the next one ends training, as the first does with 0.",
    )


class StopRule(StrictModel):
    """What counts as solved: a bound on a metric's mean over held-out sequences, at fixed axes or as in training."""

    metric: str = Field(description="A metric of the task, such as bit_errors.")
    at_most: float | None = Field(
        default=None, description="Met while the metric is not above this, for one that is better the lower it is."
    )
    at_least: float | None = Field(
        default=None, description="Met while it is not below this, as in exact: 0.99; a rule has one of the two."
    )
    axes: Axes = Field(default={}, description="Axes of the task held fixed, such as length: 120.")
    sequences: Annotated[int, Field(ge=1, le=1 << 20)] = Field(
        default=128, description="How many held-out sequences are measured."
    )

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        if (self.at_most is None) == (self.at_least is None):
            given = "neither" if self.at_most is None else "both"
            text = f"a rule has one of at_most and at_least, got {given}"
            raise PydanticCustomError("ntm", "{text}", {"text": text})
        return self

    def is_met(self, value: float) -> bool:
        """Return whether the metric is within the bound; what is no number is not."""
        if self.at_least is not None:
            return value >= self.at_least
        return self.at_most is not None and value <= self.at_most


class PhaseSpec(StrictModel):
    """A phase of a curriculum: until then the task is drawn with some of its fields set otherwise."""

    until: Annotated[int, Field(ge=1, le=10**12)] = Field(
        description="Training sequences after which it ends; the next one begins, or the task itself."
    )
    set: dict[str, Any] = Field(
        description="Fields of the task by path, as in task.length.max: 5; its sizes stay as they are.", min_length=1
    )


class PlateauSpec(StrictModel):
    """The learning rate is lowered while a metric over held-out sequences has stopped getting better.

    After each evaluation at which the metric was not better than ever by more than `margin`, for `patience` in a row,
    everything that the optimiser's schedule says of the learning rate is multiplied by `factor` once more.
    """

    metric: str = Field(description="A metric of the task, such as bits_per_sequence.")
    better: Literal["lower", "higher"] = Field(default="lower", description="Which values of it are the better ones.")
    factor: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.5, description="What the learning rate is multiplied by each time."
    )
    patience: Annotated[int, Field(ge=1, le=1 << 20)] = Field(
        default=10, description="Evaluations in a row that must bring nothing better."
    )
    margin: Annotated[float, Field(ge=0)] = Field(
        default=0.0, description="By how much a value must be better than the best before to count."
    )
    least: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.01, description="The smallest multiple of the schedule's learning rate."
    )
    axes: Axes = Field(default={}, description="Axes of the task held fixed; none: sequences as in training.")
    sequences: Annotated[int, Field(ge=1, le=1 << 20)] = Field(
        default=128, description="How many held-out sequences are measured."
    )


class AverageSpec(StrictModel):
    """A moving average of the weights, kept beside them: a <- a + (w - a) max(1 - decay, 1/n) at its n-th update.

    The first 1/(1 - decay) updates are averaged alike, so that where training began does not linger.
    """

    decay: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.999, description="How much of the average each update keeps."
    )
    after: Annotated[int, Field(ge=0, le=10**12)] = Field(
        default=0, description="Sequences before which nothing is averaged: until then it is the weights themselves."
    )
    evaluate: Literal["average", "raw"] = Field(
        default="average",
        description="Which weights stop rules and evaluations measure, and `weights.safetensors` holds.",
    )


def _of_the_model(path: str) -> str:
    try:
        first = parse_path(path)[0]
    except SpecError as error:
        raise PydanticCustomError("ntm", "{text}", {"text": str(error)}) from None
    if first != "model":
        text = f"what can be frozen are parts of the model, so that a path begins with model, not with {first}"
        raise PydanticCustomError("ntm", "{text}", {"text": text})
    return path


class TrainingSpec(StrictModel):
    """How the model is trained."""

    seed: Annotated[int, Field(ge=0, lt=1 << 63)] = Field(
        default=0, description="Starts of all parameters, the data and all noise are functions of it."
    )
    sequences: Annotated[int, Field(ge=1, le=10**12)] = Field(
        default=100_000, description="The budget, in training sequences."
    )
    batch: Annotated[int, Field(ge=1, le=1 << 20)] = Field(default=1, description="Sequences in each update.")
    accumulate: Annotated[int, Field(ge=1, le=1 << 20)] = Field(
        default=1,
        description="Parts in which a batch is run, one after another, so that it needs less memory; their gradients "
        "add up to the batch's.",
    )
    truncate: Annotated[int, Field(ge=1, le=1 << 30)] | None = Field(
        default=None,
        description="Steps after which backpropagation is cut off: a sequence is run in chunks of so many, and only "
        "the state's values pass from one to the next; none: never.",
    )
    curriculum: list[PhaseSpec] = Field(
        default=[], description="Phases in which training draws from the task otherwise; evaluations never do."
    )
    optimizer: OptimizerSpec = Field(description="How gradients change parameters.")
    clip: ClipSpec = Field(default=ClipSpec(), description="What is done to gradients first.")
    weight_noise: NotNegative = Field(
        default=Schedule(knots={0: 0.0}),
        description="Standard deviation of the noise on weights at which each update's gradient is taken.",
    )
    average: AverageSpec | None = Field(default=None, description="A moving average of the weights; none: not kept.")
    plateau: PlateauSpec | None = Field(
        default=None, description="When the learning rate is lowered for lack of progress; none: never."
    )
    stop: list[StopRule] = Field(
        default=[], description="Training ends once all these hold at one evaluation; with none, at its budget."
    )
    when_solved: Literal["stop", "go-on"] = Field(
        default="stop", description="go-on trains for the whole budget all the same, so that runs compare."
    )
    evaluate_every: Annotated[int, Field(ge=1)] = Field(
        default=1000, description="Sequences between two evaluations on held-out sequences."
    )
    checkpoint_every: Annotated[int, Field(ge=1)] = Field(
        default=1000, description="Sequences between two checkpoints."
    )
    log_every: Annotated[int, Field(ge=1)] = Field(
        default=100, description="Sequences over which training metrics are averaged for one line of metrics."
    )
    keep_checkpoints: Annotated[int, Field(ge=1)] = Field(default=2, description="How many checkpoints are kept.")
    freeze: list[Annotated[str, AfterValidator(_of_the_model)]] = Field(
        default=[],
        description="Paths of parts, fields or parameters of the model, such as model.heads.*.addressing.shift, whose "
        "parameters keep their initial values.",
    )
    sinks: Annotated[list[SinkSpec], AfterValidator(distinct_names)] = Field(
        default=[], description="Where metrics go beside the run folder's JSON lines."
    )

    @model_validator(mode="after")
    def _parts_of_at_least_one(self) -> Self:
        if self.accumulate > self.batch:
            text = f"a batch of {self.batch} cannot be run in {self.accumulate} parts; accumulate is at most batch"
            raise PydanticCustomError("ntm", "{text}", {"text": text})
        return self


class EvaluationSpec(StrictModel):
    """What is measured on held-out sequences when training has ended, and by `ntm eval`."""

    sequences: Annotated[int, Field(ge=1, le=1 << 24)] = Field(default=128, description="Sequences for each setting.")
    batch: Annotated[int, Field(ge=1, le=1 << 20)] = Field(default=32, description="Sequences run at once.")
    settings: list[Axes] = Field(
        default=[{}], description="Each holds some axes of the task fixed; an empty one is as in training."
    )
    seed: Annotated[int, Field(ge=0, lt=1 << 63)] = Field(default=0, description="Which held-out sequences are drawn.")


def _as_runtime(value: Any) -> Any:
    return {"kind": value} if isinstance(value, str) else value


RuntimeKind = Literal["auto", "eager", "compile", "fused"]


class RuntimeOptions(StrictModel):
    """How a sequence of steps is executed. A bare word is short for `{kind: that}`."""

    kind: RuntimeKind = Field(
        default="auto", description="auto takes the fastest that serves the model on the device, and says which."
    )
    tape_limit_mb: Annotated[int, Field(ge=1, le=1 << 24)] = Field(
        default=512,
        description="MiB that fused may keep of a batch for its backward pass; beyond it, it computes segments again.",
    )


RuntimeSpec = Annotated[
    RuntimeOptions, BeforeValidator(_as_runtime, json_schema_input_type=RuntimeKind | RuntimeOptions)
]


class ExperimentSpec(StrictModel):
    """One experiment: everything that determines a run's result."""

    spec: Literal[1] = Field(default=1, description="The format's version.")
    requires: list[str] = Field(
        default=[], description="Distributions that must be installed, as in ntm-dnc>=0.1; nothing is loaded by it."
    )
    model: ModelSpec = Field(description="What is trained; ntm unless it says kind.")
    task: TaskSpec = Field(description="What it is trained on.")
    training: TrainingSpec = Field(description="How it is trained.")
    evaluation: EvaluationSpec = Field(default=EvaluationSpec(), description="What is measured in the end.")
    runtime: RuntimeSpec = Field(default=RuntimeOptions(), description="How a sequence of steps is executed.")
    device: str = Field(
        default="cpu", description="cpu, cuda or cuda:1.", pattern=r"^(cpu|mps|(cuda|xpu)(:[0-9]{1,2})?)$"
    )
    dtype: Literal["float32", "float64"] = Field(
        default="float32", description="In what all parameters are kept and everything is computed."
    )
    threads: Annotated[int, Field(ge=1, le=1024)] | None = Field(
        default=None, description="CPU threads of one run; torch's own choice unless given."
    )
