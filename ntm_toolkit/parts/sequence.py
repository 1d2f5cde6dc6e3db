"""What a whole sequence model is to its users: a module called like `torch.nn.LSTM`."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from ntm_toolkit.parts.state import State


@dataclass(frozen=True)
class NoiseKey:
    """Which random numbers a sequence is given: they are a function of (seed, batch, path, time) alone.

    Attributes:
        seed: of the run.
        batch: which batch.
        first: where in the batch the first sequence stands, when a part of the batch is run by itself.
        total: how many sequences the whole batch has; None where the whole is run.
    """

    seed: int
    batch: int
    first: int = 0
    total: int | None = None


class SequenceModel(nn.Module):
    """`output, state = model(inputs, state=None, lengths=None)`.

    Attributes:
        input_size: channels of the input.
        output_size: channels of the output (logits where the task's loss wants them).
        batch_first: whether inputs and outputs are (batch, time, channels) rather than (time, batch, channels).
    """

    input_size: int
    output_size: int
    batch_first: bool

    def spec_path(self, parameter: str) -> str:
        """Return the path in the spec, below `model`, of the part to which a parameter or buffer belongs."""
        return parameter

    def forward(
        self,
        inputs: Tensor,
        state: State | None = None,
        lengths: Tensor | None = None,
        *,
        noise: NoiseKey | None = None,
    ) -> tuple[Tensor, State]:
        """Return outputs for every step and the state after the last.

        Args:
            inputs: (time, batch, input_size), or (batch, time, input_size) with `batch_first`.
            state: what an earlier call returned; None starts afresh.
            lengths: (batch,) whole numbers between 0 and time; None where every sequence fills the input. After its
                length a sequence's outputs are zero and its state stays as it was.
            noise: which random numbers to use, for models that have noisy parts; drawn afresh unless given.

        Raises:
            ValueError: a shape, dtype or device that does not fit, with both sizes.
        """
        raise NotImplementedError
