"""RMSProp as in Graves 2013, "Generating Sequences With Recurrent Neural Networks" (arXiv 1308.0850, eqs. 38 to 42).

`torch.optim.RMSprop(centered=True)` differs: it adds its epsilon outside of the root, and its momentum accumulates
steps before they are multiplied by the learning rate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor


class GravesRMSprop(torch.optim.Optimizer):
    """Divides each gradient by its own standard deviation, damped.

        n <- decay n + (1 - decay) g^2
        m <- decay m + (1 - decay) g
        d <- momentum d - lr g / sqrt(n - m^2 + damping)
        p <- p + d

    Rounding can make n - m^2 slightly negative where the gradient hardly varies; it is then taken as 0.

    Args:
        parameters: what is trained.
        lr: >= 0.
        decay: of both averages, in [0, 1).
        momentum: in [0, 1).
        damping: > 0.

    Raises:
        ValueError: a scalar outside of its range.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        *,
        lr: float = 1e-4,
        decay: float = 0.95,
        momentum: float = 0.9,
        damping: float = 1e-4,
    ) -> None:
        if lr < 0:
            raise ValueError(f"a learning rate is at least 0; got {lr}")
        for name, value in (("decay", decay), ("momentum", momentum)):
            if not 0 <= value < 1:
                raise ValueError(f"{name} is from 0 to below 1; got {value}")
        if damping <= 0:
            raise ValueError(f"damping is above 0; got {damping}")
        super().__init__(parameters, {"lr": lr, "decay": decay, "momentum": momentum, "damping": damping})

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Change the parameters once; those without a gradient stay as they are."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._change(parameter, parameter.grad, group)
        return loss

    def _change(self, parameter: Tensor, g: Tensor, group: dict[str, Any]) -> None:
        state, decay = self.state[parameter], group["decay"]
        if not state:
            for name in ("square", "mean", "delta"):
                state[name] = torch.zeros_like(parameter)
        n, m, d = state["square"], state["mean"], state["delta"]
        n.mul_(decay).addcmul_(g, g, value=1 - decay)
        m.lerp_(g, 1 - decay)
        divisor = torch.addcmul(n, m, m, value=-1).clamp_min_(0).add_(group["damping"]).sqrt_()
        d.mul_(group["momentum"]).addcdiv_(g, divisor, value=-group["lr"])
        parameter.add_(d)
