"""What a YAML file may say: part specs, the experiment, documents with line-numbered errors, paths and schemas.

Everything here is free of torch.
"""

from ntm_toolkit.spec.declarations import Activation, Dims, Field, Needs, Noise, StateTensor
from ntm_toolkit.spec.errors import Problem, SpecError, ToolkitError
from ntm_toolkit.spec.experiment import (
    AverageSpec,
    ClipSpec,
    EvaluationSpec,
    ExperimentSpec,
    PhaseSpec,
    PlateauSpec,
    RuntimeOptions,
    StopRule,
    TrainingSpec,
)
from ntm_toolkit.spec.families import (
    FAMILIES,
    ControllerSpec,
    Count,
    ExecutorSpec,
    HeadSpec,
    ImporterSpec,
    InitializerSpec,
    InterfaceSpec,
    MemorySpec,
    ModelSpec,
    NormalizerSpec,
    OptimizerSpec,
    SimilaritySpec,
    SinkSpec,
    StageSpec,
    TaskSpec,
    TrackerSpec,
)
from ntm_toolkit.spec.files import DataFile, FileField
from ntm_toolkit.spec.parts import NamedPartSpec, PartSpec
from ntm_toolkit.spec.schedules import Scalar, Schedule
from ntm_toolkit.spec.strict import StrictModel

__all__ = [
    "FAMILIES",
    "Activation",
    "AverageSpec",
    "ClipSpec",
    "ControllerSpec",
    "Count",
    "DataFile",
    "Dims",
    "EvaluationSpec",
    "ExecutorSpec",
    "ExperimentSpec",
    "Field",
    "FileField",
    "HeadSpec",
    "ImporterSpec",
    "InitializerSpec",
    "InterfaceSpec",
    "MemorySpec",
    "ModelSpec",
    "NamedPartSpec",
    "Needs",
    "Noise",
    "NormalizerSpec",
    "OptimizerSpec",
    "PartSpec",
    "PhaseSpec",
    "PlateauSpec",
    "Problem",
    "RuntimeOptions",
    "Scalar",
    "Schedule",
    "SimilaritySpec",
    "SinkSpec",
    "SpecError",
    "StageSpec",
    "StateTensor",
    "StopRule",
    "StrictModel",
    "TaskSpec",
    "ToolkitError",
    "TrackerSpec",
    "TrainingSpec",
]
