"""The Neural Turing Machine as a sequence module: its parts, the prologue, the steps and the epilogue of a sequence.

prologue   pack weights; project all inputs; the state that a sequence begins with
steps      (packed, input, state, noise) -> (features, state)
epilogue   map all features to outputs at once

A runtime executes these three.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from ntm_toolkit.memory.specs import OneHotSpec
from ntm_toolkit.model.layout import lay_out
from ntm_toolkit.model.noise import draw_noise
from ntm_toolkit.model.output import Output
from ntm_toolkit.model.sequence import EagerLoop, Runner, Steps
from ntm_toolkit.model.specs import NTMSpec
from ntm_toolkit.model.step import Step, above
from ntm_toolkit.parts import NoiseKey, Recorder, SequenceModel, State, Tensors, Tree, seeded, seeding
from ntm_toolkit.parts.validation import check_inputs, check_lengths, check_state
from ntm_toolkit.spec.declarations import Dims, Noise
from ntm_toolkit.spec.families import HeadSpec


class Machine(SequenceModel):
    """A Neural Turing Machine, called like `torch.nn.LSTM`.

    Args:
        spec: what it is made of.
        inputs: channels of the input, >= 1.
        outputs: channels of the output, >= 1.
        seed: every parameter's start is a function of (seed, its path).
        batch_first: whether inputs and outputs are (batch, time, channels).

    Inside `torch.autocast` it computes in its parameters' dtype: powers and ratios of small weightings need it.
    """

    def __init__(self, spec: NTMSpec, inputs: int, outputs: int, *, seed: int = 0, batch_first: bool = False) -> None:
        super().__init__()
        self.spec = spec
        self.input_size, self.output_size, self.batch_first = inputs, outputs, batch_first
        dims = self.dims = spec.dims(inputs, outputs)
        with seeding(seed):
            with seeded("memory"):
                self.memory = spec.memory.build(dims)
            self.trackers = Tree()
            for tracker in spec.memory.trackers:
                with seeded(f"memory.trackers.{tracker.name}"):
                    self.trackers[tracker.name] = tracker.build(dims)
            with seeded("controller"):
                self.controller = spec.controller.build(dims)
            self.heads = Tree()
            for head in spec.heads:
                self._add_group(head)
            owning = {head.name: _owns_tensors(self.heads[f"{head.name}.addressing"]) for head in spec.heads}
            self.layout = lay_out(spec, dims, owning)
            with seeded("interface"):
                self.interface = spec.interface.build(dims.hidden, self.layout.slots)
            with seeded("output"):
                self.output = Output(spec.output, dims)
        self.noise = _declared_noise(spec, self.dims)
        self.step = Step(self)
        self.shared = self.step.shared
        self.runner: Runner = EagerLoop()

    def _add_group(self, head: HeadSpec) -> None:
        group, dims = Tree(), self.dims.for_heads(head.count)
        self.heads[head.name] = group
        with seeded(f"heads.{head.name}"):
            stages = Tree()
            for stage in head.addressing:
                with seeded(f"addressing.{stage.name}"):
                    stages[stage.name] = stage.build(dims)
            group["addressing"] = stages
            with seeded("head"):
                group["head"] = head.build(dims)
            with seeded("initial_weighting"):
                weighting = head.initial_weighting or OneHotSpec()
                group["initial_weighting"] = weighting.build((head.count, dims.slots))
            start = head.initial_reads()
            if start is None and head.read_size(dims):
                raise ValueError(
                    f"model.heads.{head.name}: a '{head.kind_of()}' head reads, so its spec class must say where the "
                    "read vectors start: let initial_reads() return an initialiser"
                )
            if start is not None:
                with seeded("start"):
                    group["start"] = start.build((head.count, head.read_size(dims)))

    def initial_state(self, batch: int) -> State:
        """Return the state before the first step, for that many sequences."""
        tensors = {f"memory.{name}": value for name, value in self.memory.initial_state(batch).items()}
        tensors.update(self.step.declared_state(batch, like=self.output.bias))
        tensors.update({f"controller.{name}": value for name, value in self.controller.initial_state(batch).items()})
        for head in self.spec.heads:
            group: Tree = self.heads[head.name]
            tensors[f"heads.{head.name}.weighting"] = _for_each(group["initial_weighting"](), batch)
            if "start" in group:
                tensors[f"heads.{head.name}.reads"] = _for_each(group["start"](), batch)
        tensors["time"] = torch.zeros(batch, dtype=torch.int64, device=self.device)
        return State(tensors)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the parameters, in which everything is computed."""
        return self.output.bias.dtype

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.output.bias.device

    def forward(
        self,
        inputs: Tensor,
        state: State | None = None,
        lengths: Tensor | None = None,
        *,
        noise: NoiseKey | None = None,
        record: Sequence[Recorder] | None = None,
    ) -> tuple[Tensor, State]:
        """Return outputs (logits) for every step and the state after the last.

        Args:
            inputs: (time, batch, input_size), or (batch, time, input_size) with `batch_first`; time >= 1.
            state: what an earlier call returned; None starts afresh.
            lengths: (batch,) whole numbers between 0 and time. After its length a sequence's outputs are zero and its
                state stays as it was.
            noise: which random numbers noisy parts are given; drawn afresh from torch's generator unless given.
            record: for each step, who is called with what each part produced; such a call always runs in eager.

        Raises:
            ValueError: a shape, dtype or device that does not fit, or a state of another machine.
        """
        with torch.autocast(self.device.type, enabled=False):
            inputs = check_inputs(inputs, self)
            if self.batch_first:
                inputs = inputs.transpose(0, 1)
            time, batch = inputs.shape[:2]
            given = None if state is None else check_state(state, self.initial_state(batch))
            active = None
            if lengths is None:
                lengths = torch.full((batch,), time, device=self.device)
            else:
                lengths = check_lengths(lengths, time, batch, self.device)
                active = torch.arange(time, device=self.device)[:, None] < lengths
                # Padding is never looked at: not even a NaN in it may reach a gradient.
                inputs = torch.where(active[..., None], inputs, 0)
            steps = Steps(
                pack=self.pack,
                inputs=inputs,
                project=self.controller.project,
                start=partial(self.initial_state, batch),
                given=given,
                finish=self.output,
                noise=draw_noise(self.noise, noise, given, time, like=inputs, training=self.training),
                active=active,
                lengths=lengths,
            )
            runner = self.runner if record is None else EagerLoop(record)
            outputs, final = runner(self.step, steps)
            if active is not None:
                outputs = torch.where(active[..., None], outputs, 0)
            return outputs.transpose(0, 1) if self.batch_first else outputs, State(final)

    def pack(self) -> Tensors:
        """Return tensors made of parameters alone, by path, which every step uses."""
        # Without stages, a machine may well ask nothing of its controller.
        interface = self.interface.pack() if self.layout.slots else {}
        return {**above("controller", self.controller.pack()), **above("interface", interface)}

    def spec_path(self, parameter: str) -> str:
        """Return the path in the spec, below `model`, of the part to which a parameter or buffer belongs.

        A field's rows of the interface belong to the part that asked for the field.
        """
        for prefix, place in (("interface.fields.", ""), ("trackers.", "memory.trackers.")):
            if parameter.startswith(prefix):
                return place + parameter.removeprefix(prefix)
        return parameter


def _for_each(start: Tensor, batch: int) -> Tensor:
    return start.expand(batch, *start.shape)


def _owns_tensors(module: nn.Module) -> bool:
    return any(True for _ in module.parameters()) or any(True for _ in module.buffers())


def _declared_noise(spec: NTMSpec, dims: Dims) -> dict[str, Noise]:
    return {
        f"heads.{head.name}.addressing.{stage.name}.{name}": noise
        for head in spec.heads
        for stage in head.addressing
        for name, noise in stage.noise(dims.for_heads(head.count)).items()
    }
