"""What all baselines share: they execute themselves, over whole sequences, within the contract of sequence models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from ntm_toolkit.parts import NoiseKey, SequenceModel, State
from ntm_toolkit.parts.validation import check_inputs, check_lengths, check_state


class Ends(NamedTuple):
    """Where the sequences of a batch end that are not all as long as the input.

    Attributes:
        lengths: (batch,) whole numbers between 0 and time.
        active: (time, batch), False from where on a sequence has ended.
    """

    lengths: Tensor
    active: Tensor


class Baseline(SequenceModel):
    """A sequence model that has no steps for a runtime to execute, called like `torch.nn.LSTM`.

    Args:
        inputs: channels of the input, >= 1.
        outputs: channels of the output, >= 1.
        batch_first: whether inputs and outputs are (batch, time, channels).

    Inside `torch.autocast` it computes in its parameters' dtype, as a machine does.
    """

    def __init__(self, inputs: int, outputs: int, *, batch_first: bool = False) -> None:
        super().__init__()
        self.input_size, self.output_size, self.batch_first = inputs, outputs, batch_first

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the parameters, in which everything is computed."""
        return next(self.parameters()).dtype

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(self.parameters()).device

    def initial_state(self, batch: int) -> State:
        """Return the state before the first step, for that many sequences."""
        raise NotImplementedError

    def expected_state(self, state: State, batch: int) -> Mapping[str, Tensor]:
        """Return tensors whose names, shapes, dtypes and devices a carried state must have."""
        return self.initial_state(batch)

    def execute(self, inputs: Tensor, state: State, ends: Ends | None) -> tuple[Tensor, State]:
        """Return outputs (time, batch, outputs), of which those after a sequence's end may be any, and the new state.

        Args:
            inputs: (time, batch, inputs), zero after a sequence's end.
            state: the state before the first of these steps.
            ends: where sequences end; None where all are as long as the input.
        """
        raise NotImplementedError

    def forward(
        self,
        inputs: Tensor,
        state: State | None = None,
        lengths: Tensor | None = None,
        *,
        noise: NoiseKey | None = None,
    ) -> tuple[Tensor, State]:
        """Return outputs (logits) for every step and the state after the last.

        Args:
            inputs: (time, batch, input_size), or (batch, time, input_size) with `batch_first`; time >= 1.
            state: what an earlier call returned; None starts afresh.
            lengths: (batch,) whole numbers between 0 and time. After its length a sequence's outputs are zero and its
                state stays as it was.
            noise: not used: nothing in a baseline is drawn at random.

        Raises:
            ValueError: a shape, dtype or device that does not fit, or a state of another model.
        """
        with torch.autocast(self.device.type, enabled=False):
            inputs = check_inputs(inputs, self)
            if self.batch_first:
                inputs = inputs.transpose(0, 1)
            time, batch = inputs.shape[:2]
            if state is None:
                state = self.initial_state(batch)
            else:
                state = check_state(state, self.expected_state(state, batch))
            ends = None if lengths is None else _ends(check_lengths(lengths, time, batch, self.device), time)
            if ends is not None:
                # Padding is never looked at: not even a NaN in it may reach a gradient.
                inputs = torch.where(ends.active[..., None], inputs, 0)
            outputs, state = self.execute(inputs, state, ends)
            if ends is not None:
                outputs = torch.where(ends.active[..., None], outputs, 0)
            return outputs.transpose(0, 1) if self.batch_first else outputs, state


def _ends(lengths: Tensor, time: int) -> Ends | None:
    if bool((lengths == time).all()):
        return None
    return Ends(lengths, torch.arange(time, device=lengths.device)[:, None] < lengths)
