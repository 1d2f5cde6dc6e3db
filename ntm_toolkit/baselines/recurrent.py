"""Stacked recurrent networks in Graves's form (2013, arXiv 1308.0850, section 2), by torch's kernels.

    h_1 = cell_1([x; h_1'])
    h_l = cell_l([x; h_{l-1}; h_l'])        for the layers above the first
    y = sum_l W_l h_l + b

The input skips to every layer, every layer feeds the output, and each layer's state before the first step is learned.
A layer's kernel runs over the whole sequence before the layer above begins; weights are stored by source.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from ntm_toolkit.baselines.baseline import Baseline, Ends
from ntm_toolkit.baselines.specs import StackedSpec
from ntm_toolkit.controllers.stacked import SourcedLinear, start_states
from ntm_toolkit.parts import State, seeded, seeding


class Layer(SourcedLinear):
    """The weights of one layer, by source; the last source is the layer's own past.

    Args:
        sources: size of each source, by name.
        rows: gates times units.
        bound: weights start uniform in (-bound, bound), biases at 0.
        past_bias: whether there is a bias of its own beside the weights of the past.
    """

    def __init__(self, sources: Mapping[str, int], rows: int, bound: float, *, past_bias: bool) -> None:
        super().__init__(sources, rows, bound)
        if past_bias:
            self.past_bias: Tensor = nn.Parameter(torch.zeros(rows))
        else:
            self.register_buffer("past_bias", torch.zeros(rows), persistent=False)

    def kernel_weights(self) -> list[Tensor]:
        """Return what torch's kernels take for one layer."""
        *before, past = self.sources
        return [self.weight(before), self.weight([past]), self.bias, self.past_bias]


class Recurrent(Baseline):
    """A stacked recurrent network, called like `torch.nn.LSTM`.

    Args:
        spec: the cell, layers, sizes and what is connected with what.
        inputs: channels of the input, >= 1.
        outputs: channels of the output, >= 1.
        seed: every parameter's start is a function of (seed, its path).
        batch_first: whether inputs and outputs are (batch, time, channels).
    """

    def __init__(
        self, spec: StackedSpec, inputs: int, outputs: int, *, seed: int = 0, batch_first: bool = False
    ) -> None:
        super().__init__(inputs, outputs, batch_first=batch_first)
        self.spec = spec
        size, cell, bound = spec.size, spec.cell, spec.init_scale / math.sqrt(spec.size)
        seen = range(spec.layers) if spec.output_sees == "all-layers" else [spec.layers - 1]
        self.layers = nn.ModuleList()
        with seeding(seed):
            for index in range(spec.layers):
                sources = {"input": inputs} if spec.skip_inputs or index == 0 else {}
                sources |= {"below": size} if index else {}
                with seeded(f"layers.{index}"):
                    layer = Layer({**sources, "past": size}, len(cell.gates) * size, bound, past_bias=cell.past_bias)
                with torch.no_grad():
                    for gate, start in spec.gate_biases().items():
                        layer.bias.view(-1, size)[cell.gates.index(gate)] = start
                self.layers.append(layer)
            names = [f"{state}{index}" for index in range(spec.layers) for state in cell.states]
            self.starts = start_states(names, size, spec.initial_state == "learned")
            with seeded("output"):
                self.output = SourcedLinear({f"layers.{index}": size for index in seen}, outputs, bound)

    def initial_state(self, batch: int) -> State:
        """Return the state before the first step: h (and c) of each layer, (batch, size)."""
        return State({name: start(batch) for name, start in self.starts.items()})

    def execute(self, inputs: Tensor, state: State, ends: Ends | None) -> tuple[Tensor, State]:
        """Return outputs (time, batch, outputs) and the new state."""
        if ends is None:
            output, final = self._stack(inputs, None, state)
            return output, State(final)
        # The kernels know no sequence without a step; what such a one gives is thrown away.
        packed = pack_padded_sequence(inputs, ends.lengths.clamp(min=1).cpu(), enforce_sorted=False)
        data, sizes, order, back = packed
        assert order is not None
        assert back is not None
        output, final = self._stack(data, sizes, state.select(order))
        padded, _ = pad_packed_sequence(PackedSequence(output, sizes, order, back), total_length=len(inputs))
        took_steps = (ends.lengths > 0)[:, None]
        return padded, State({name: torch.where(took_steps, final[name][back], state[name]) for name in state})

    def _stack(self, data: Tensor, sizes: Tensor | None, state: State) -> tuple[Tensor, dict[str, Tensor]]:
        """Return outputs and last states of inputs (time, batch, inputs), or packed, with the batch at each step."""
        below: list[Tensor] = []
        features: dict[str, Tensor] = {}
        final: dict[str, Tensor] = {}
        for index, layer in enumerate(self.layers):
            assert isinstance(layer, Layer)
            names = [f"{name}{index}" for name in self.spec.cell.states]
            seen = [data, *below] if "input" in layer.sources else below
            hidden, *last = self._run(layer, torch.cat(seen, -1), sizes, [state[name] for name in names])
            final |= {name: value[0] for name, value in zip(names, last, strict=True)}
            below = [hidden]
            features[f"layers.{index}"] = hidden
        together = torch.cat([features[path] for path in self.output.sources], -1)
        return nn.functional.linear(together, self.output.weight(self.output.sources), self.output.bias), final

    def _run(self, layer: Layer, data: Tensor, sizes: Tensor | None, state: Sequence[Tensor]) -> Sequence[Tensor]:
        """Return a layer's output over the sequence, then its last states, (1, batch, size) each."""
        kernel = getattr(torch, self.spec.cell.kernel)
        starts = [value[None].contiguous() for value in state]
        start = starts[0] if len(starts) == 1 else starts
        # Biases, one layer, no dropout, whether a backward pass may follow (in eval too), one direction.
        how = (layer.kernel_weights(), True, 1, 0.0, torch.is_grad_enabled(), False)
        results: Sequence[Tensor]
        if sizes is None:
            results = kernel(data, start, *how, False)
        else:
            results = kernel(data, sizes, start, *how)
        return results
