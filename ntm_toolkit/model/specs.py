"""The Neural Turing Machine as a spec class: memory, controller, interface, heads, order and output."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ValidationError, model_validator
from pydantic import Field as PydanticField
from pydantic_core import InitErrorDetails, PydanticCustomError

from ntm_toolkit.controllers.specs import LSTMSpec
from ntm_toolkit.interface.specs import LinearSpec
from ntm_toolkit.memory.specs import MatrixSpec
from ntm_toolkit.plugins.hooks import hookimpl
from ntm_toolkit.spec.declarations import Dims, Needs
from ntm_toolkit.spec.families import ControllerSpec, HeadSpec, InterfaceSpec, MemorySpec, ModelSpec, StageSpec
from ntm_toolkit.spec.parts import PartSpec, distinct_names
from ntm_toolkit.spec.strict import StrictModel

if TYPE_CHECKING:
    from ntm_toolkit import parts

Location = tuple[str | int, ...]


class OutputSpec(StrictModel):
    """The map from what a step ends with to the model's output (logits)."""

    sees: Literal["controller-and-reads", "controller"] = PydanticField(
        default="controller-and-reads", description="Whether it also sees what the step's heads read."
    )
    gain: Annotated[float, PydanticField(gt=0)] = PydanticField(
        default=1.0, description="Weights start Xavier-uniform with this gain, each source on its own."
    )
    bias_scale: Annotated[float, PydanticField(ge=0)] = PydanticField(
        default=0.0, description="Biases start normal with this standard deviation."
    )
    clamp: Annotated[float, PydanticField(gt=0)] | None = PydanticField(
        default=None, description="Outputs are cut to +-clamp (20 in Collier & Beel's code)."
    )


class NTMSpec(ModelSpec):
    """A Neural Turing Machine (Graves et al. 2014): a controller that addresses a memory through heads."""

    has_steps = True

    kind: Literal["ntm"] = "ntm"
    memory: MemorySpec = PydanticField(default=MatrixSpec(), description="What the heads read and write.")
    controller: ControllerSpec = PydanticField(
        default=LSTMSpec(), description="The network that sees the input and the previous reads."
    )
    interface: InterfaceSpec = PydanticField(
        default=LinearSpec(), description="The map from the controller's output to all fields."
    )
    heads: Annotated[list[HeadSpec], PydanticField(min_length=1), AfterValidator(distinct_names)] = PydanticField(
        description="The groups of heads, in the order in which they act."
    )
    order: Literal["sequential", "simultaneous"] = PydanticField(
        default="sequential",
        description="sequential: each group sees the memory as the one before left it; simultaneous: all groups see "
        "the memory as the step began, then all erases multiply and all adds sum.",
    )
    output: OutputSpec = PydanticField(default=OutputSpec(), description="The map to the model's output.")

    @classmethod
    def examples(cls) -> list[Self]:
        """A small machine with the paper's addressing and one head of each kind."""
        from ntm_toolkit.addressing.specs import ContentSpec, InterpolateSpec, SharpenSpec, ShiftSpec
        from ntm_toolkit.heads.specs import ReadSpec, WriteSpec

        stages: list[StageSpec] = [ContentSpec(), InterpolateSpec(), ShiftSpec(), SharpenSpec()]
        heads: list[HeadSpec] = [ReadSpec(addressing=stages), WriteSpec(addressing=stages)]
        return [cls(memory=MatrixSpec(slots=5, width=3), controller=LSTMSpec(size=8), heads=heads)]

    def dims(self, inputs: int = 1, outputs: int = 1) -> Dims:
        """Return the sizes that the parts may know."""
        bare = Dims(inputs, outputs, self.memory.slots, self.memory.width, self.controller.output_size())
        reads = {head.name: head.count * head.read_size(bare.for_heads(head.count)) for head in self.heads}
        return Dims(
            inputs=inputs,
            outputs=outputs,
            slots=self.memory.slots,
            width=self.memory.width,
            hidden=self.controller.output_size(),
            reads={name: size for name, size in reads.items() if size},
            groups={head.name: head.count for head in self.heads},
        )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        problems = list(self._unmet_needs()) or list(self._failed_checks())
        if problems:
            raise ValidationError.from_exception_data(
                "NTMSpec",
                [
                    InitErrorDetails(
                        type=PydanticCustomError("ntm", "{text}", {"text": text}), loc=location, input=None
                    )
                    for location, text in problems
                ],
            )
        return self

    def _unmet_needs(self) -> Iterator[tuple[Location, str]]:
        trackers = [tracker.name for tracker in self.memory.trackers]
        groups = [head.name for head in self.heads]
        for location, part, needs in self._needing():
            for tracker in needs.trackers:
                if tracker not in trackers:
                    has = ", ".join(trackers) or "none"
                    yield (
                        location,
                        f"'{part}' needs a tracker called '{tracker}' in model.memory.trackers (there: {has})",
                    )
            for group in needs.groups:
                if group not in groups:
                    yield location, f"'{part}' needs a head group called '{group}' (there: {', '.join(groups)})"

    def _needing(self) -> Iterator[tuple[Location, str, Needs]]:
        for index, tracker in enumerate(self.memory.trackers):
            yield ("memory", "trackers", index), tracker.name, tracker.needs()
        for index, head in enumerate(self.heads):
            yield ("heads", index), head.name, head.needs()
            for place, stage in enumerate(head.addressing):
                yield ("heads", index, "addressing", place), stage.name, stage.needs()

    def _failed_checks(self) -> Iterator[tuple[Location, str]]:
        dims = self.dims()
        for location, part in _parts_below((), self):
            match location:
                case ("heads", int() as index, *_):
                    own = dims.for_heads(self.heads[index].count)
                case _:
                    own = dims
            try:
                part.check(own)
                if isinstance(part, HeadSpec | StageSpec):
                    part.interface(own)
                if isinstance(part, StageSpec) and part.neutralized and part.neutral(own) is None:
                    raise ValueError(
                        f"the stage '{part.kind_of()}' declares no neutral setting, so it cannot be neutralized"
                    )
            except ValueError as error:
                yield location, str(error)

    def estimate_bytes(self, inputs: int, outputs: int, batch: int, steps: int, item: int) -> int:
        """Parameters with gradients and optimiser state, and what the steps make, kept for the backward pass."""
        dims = self.dims(inputs, outputs)
        heads, fields, addressed = 0, 0, 0
        for head in self.heads:
            own = dims.for_heads(head.count)
            heads += head.count
            asking: list[HeadSpec | StageSpec] = [head, *head.addressing]
            for part in asking:
                fields += head.count * sum(field.size for field in part.interface(own).values())
            addressed += head.count * sum(stage.estimate_numbers(own) for stage in head.addressing)
        memory = dims.slots * dims.width
        parameters = self.controller.estimate_parameters(dims) + dims.hidden * (fields + outputs) + memory
        step = memory * (2 + heads) + addressed + 2 * fields + 8 * dims.hidden + inputs + 2 * outputs
        return item * (5 * parameters + 3 * step * batch * steps)

    def build(self, inputs: int, outputs: int, seed: int = 0) -> parts.SequenceModel:
        """Return the machine, each parameter's start drawn from (seed, its path)."""
        from ntm_toolkit.model.machine import Machine

        return Machine(self, inputs, outputs, seed=seed)


def _parts_below(location: Location, model: BaseModel) -> Iterator[tuple[Location, PartSpec]]:
    for name in type(model).model_fields:
        value = getattr(model, name)
        listed = enumerate(value) if isinstance(value, list) else ()
        items = [((*location, name, index), item) for index, item in listed]
        for place, item in items or [((*location, name), value)]:
            if isinstance(item, PartSpec):
                yield place, item
            if isinstance(item, BaseModel):
                yield from _parts_below(place, item)


@hookimpl
def ntm_register_parts() -> Sequence[type[PartSpec]]:
    """The Neural Turing Machine."""
    return [NTMSpec]
