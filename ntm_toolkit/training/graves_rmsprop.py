"""RMSProp as in Graves 2013, "Generating Sequences With Recurrent Neural Networks" (arXiv 1308.0850, eqs. 38 to 42).

`torch.optim.RMSprop(centered=True)` differs: it adds its epsilon outside of the root, and its momentum accumulates
steps before they are multiplied by the learning rate.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from torch import Tensor

from ntm_toolkit.training.elementwise import ElementwiseOptimizer


class GravesRMSprop(ElementwiseOptimizer):
    """Divides each gradient by its own standard deviation, damped.

        n <- decay n + (1 - decay) g^2
        m <- decay m + (1 - decay) g
        d <- momentum d - lr g / sqrt(n - m^2 + damping)
        p <- p + d - lr weight_decay p

    The last term is not Graves's; it stands beside the gradient as in AdamW (Loshchilov & Hutter 2019). Rounding can
    make n - m^2 slightly negative where the gradient hardly varies; it is then taken as 0.

    Args:
        parameters: what is trained.
        lr: >= 0.
        decay: of both averages, in [0, 1).
        momentum: in [0, 1).
        damping: > 0.
        weight_decay: >= 0.

    Raises:
        ValueError: a scalar outside of its range.
    """

    averages: ClassVar[tuple[str, ...]] = ("square", "mean", "delta")
    scalars: ClassVar[tuple[str, ...]] = ("lr", "decay", "momentum", "damping", "weight_decay")

    def __init__(
        self,
        parameters: Iterable[Tensor],
        *,
        lr: float = 1e-4,
        decay: float = 0.95,
        momentum: float = 0.9,
        damping: float = 1e-4,
        weight_decay: float = 0.0,
    ) -> None:
        if lr < 0:
            raise ValueError(f"a learning rate is at least 0; got {lr}")
        for name, value in (("decay", decay), ("momentum", momentum)):
            if not 0 <= value < 1:
                raise ValueError(f"{name} is from 0 to below 1; got {value}")
        if damping <= 0:
            raise ValueError(f"damping is above 0; got {damping}")
        if weight_decay < 0:
            raise ValueError(f"weight decay is at least 0; got {weight_decay}")
        scalars = {"lr": lr, "decay": decay, "momentum": momentum, "damping": damping, "weight_decay": weight_decay}
        super().__init__(parameters, scalars)

    @staticmethod
    def rule(vectors: Sequence[Tensor], scalars: Sequence[Tensor]) -> Sequence[Tensor]:
        """Return new values of parameters, n, m and d."""
        p, n, m, d, g = vectors
        lr, decay, momentum, damping, weight_decay = scalars
        n = decay * n + (1 - decay) * g * g
        m = decay * m + (1 - decay) * g
        d = momentum * d - lr * g / ((n - m * m).clamp(min=0) + damping).sqrt()
        return p - lr * weight_decay * p + d, n, m, d
