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
            self._update(group)
        return loss

    def _update(self, group: dict[str, Any]) -> None:
        parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
        if not parameters:
            return
        gradients = [parameter.grad for parameter in parameters]
        n, m, d = (self._kept(parameters, name) for name in ("square", "mean", "delta"))
        decay = group["decay"]
        torch._foreach_mul_(n, decay)
        torch._foreach_addcmul_(n, gradients, gradients, 1 - decay)
        torch._foreach_mul_(m, decay)
        torch._foreach_add_(m, gradients, alpha=1 - decay)
        divisor = torch._foreach_addcmul(n, m, m, -1)
        torch._foreach_clamp_min_(divisor, 0)
        torch._foreach_add_(divisor, group["damping"])
        torch._foreach_sqrt_(divisor)
        torch._foreach_mul_(d, group["momentum"])
        torch._foreach_addcdiv_(d, gradients, divisor, -group["lr"])
        torch._foreach_add_(parameters, d)

    def _kept(self, parameters: list[Tensor], name: str) -> list[Tensor]:
        for parameter in parameters:
            self.state[parameter].setdefault(name, torch.zeros_like(parameter))
        return [self.state[parameter][name] for parameter in parameters]
