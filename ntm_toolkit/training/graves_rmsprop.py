"""RMSProp as in Graves 2013, "Generating Sequences With Recurrent Neural Networks" (arXiv 1308.0850, eqs. 38 to 42).

`torch.optim.RMSprop(centered=True)` differs: it adds its epsilon outside of the root, and its momentum accumulates
steps before they are multiplied by the learning rate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
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
        self._flat: dict[tuple[int, ...], _Flat] = {}
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

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._flat = {}

    def _update(self, group: dict[str, Any]) -> None:
        together: dict[tuple[torch.device, torch.dtype], list[Tensor]] = {}
        for parameter in group["params"]:
            if parameter.grad is not None:
                together.setdefault((parameter.device, parameter.dtype), []).append(parameter)
        for parameters in together.values():
            kept = self._kept(parameters)
            n, m, d = kept.square, kept.mean, kept.delta
            g = torch.cat([parameter.grad.reshape(-1) for parameter in parameters])  # type: ignore[union-attr]
            decay = group["decay"]
            n.mul_(decay).addcmul_(g, g, value=1 - decay)
            m.mul_(decay).add_(g, alpha=1 - decay)
            divisor = torch.addcmul(n, m, m, value=-1).clamp_min_(0).add_(group["damping"]).sqrt_()
            d.mul_(group["momentum"]).addcdiv_(g, divisor, value=-group["lr"])
            torch._foreach_add_(parameters, kept.parts["delta"])

    def _kept(self, parameters: list[Tensor]) -> _Flat:
        key = tuple(map(id, parameters))
        kept = self._flat.get(key)
        if kept is None or not kept.is_of([self.state[parameter] for parameter in parameters]):
            kept = self._flat[key] = _Flat.of(parameters, [self.state[parameter] for parameter in parameters])
        return kept


_KEPT = ("square", "mean", "delta")


@dataclass(frozen=True, eq=False)
class _Flat:
    """The averages and changes of several parameters, one after another in one tensor each.

    A machine has dozens of small parameters; an operation on all of them at once takes a fifth of the time.
    The optimiser's state, by parameter, are views of these.
    """

    square: Tensor
    mean: Tensor
    delta: Tensor
    parts: Mapping[str, list[Tensor]]

    @classmethod
    def of(cls, parameters: list[Tensor], states: list[dict[str, Tensor]]) -> _Flat:
        """Return what the parameters' states hold, zero where they hold nothing yet, and make these views of it."""
        flat, parts = {}, {}
        for name in _KEPT:
            values = [s.get(name, torch.zeros_like(p)) for p, s in zip(parameters, states, strict=True)]
            flat[name] = torch.cat([value.reshape(-1) for value in values])
            pieces = torch.split(flat[name], [parameter.numel() for parameter in parameters])
            parts[name] = [piece.view(p.shape) for piece, p in zip(pieces, parameters, strict=True)]
            for state, part in zip(states, parts[name], strict=True):
                state[name] = part
        return cls(flat["square"], flat["mean"], flat["delta"], parts)

    def is_of(self, states: list[dict[str, Tensor]]) -> bool:
        """Whether the states are views of this; they are not once others have been loaded."""
        return all(
            state.get(name) is part for name in _KEPT for state, part in zip(states, self.parts[name], strict=True)
        )
