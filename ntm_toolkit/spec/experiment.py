"""A spec is the whole experiment: the model, the task, the training, the evaluation and the seed (one YAML file)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from ntm_toolkit.spec.errors import SpecError
from ntm_toolkit.spec.families import ModelSpec, OptimizerSpec, SinkSpec, TaskSpec
from ntm_toolkit.spec.parts import distinct_names
from ntm_toolkit.spec.paths import parse_path
from ntm_toolkit.spec.strict import StrictModel

Axes = dict[str, Annotated[int, Field(ge=1, le=1 << 20)]]


class ClipSpec(StrictModel):
    """What is done to gradients before the optimiser sees them."""

    value: Annotated[float, Field(gt=0)] | None = Field(default=None, description="Each element is cut to +-value.")
    norm: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="All gradients together are scaled down to this Euclidean norm."
    )


class StopRule(StrictModel):
    """What counts as solved: a bound on a metric's mean over held-out sequences, at fixed axes or as in training."""

    metric: str = Field(description="A metric of the task, such as bit_errors.")
    at_most: float = Field(description="Met while the metric is not above this.")
    axes: Axes = Field(default={}, description="Axes of the task held fixed, such as length: 120.")
    sequences: Annotated[int, Field(ge=1, le=1 << 20)] = Field(
        default=128, description="How many held-out sequences are measured."
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
    optimizer: OptimizerSpec = Field(description="How gradients change parameters.")
    clip: ClipSpec = Field(default=ClipSpec(), description="What is done to gradients first.")
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
