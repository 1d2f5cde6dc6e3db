"""Optimisers that change each number by itself: stated once as a rule, carried out by torch or by one compiled loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, overload

import torch
from torch import Tensor

from ntm_toolkit.runtime.fused.kernel import REALS
from ntm_toolkit.runtime.fused.rule import CompiledRule, compiled_rule


class ElementwiseOptimizer(torch.optim.Optimizer):
    """An optimiser that is a rule for single numbers.

    A subclass names its averages and scalars, and has a `rule`. Where a machine is executed by the fused runtime, so is
    the rule: all that it computes for a number is then done in one go.

    Attributes:
        averages: names of what is kept for each number; all of them start at zero.
        scalars: names of the param groups' entries that the rule is given.
    """

    averages: ClassVar[tuple[str, ...]] = ()
    scalars: ClassVar[tuple[str, ...]] = ("lr",)

    def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
        made = len(self.rule([torch.zeros(1)] * (len(self.averages) + 2), [torch.zeros(())] * len(self.scalars)))
        if made != len(self.averages) + 1:
            names = ", ".join(("parameters", *self.averages))
            raise ValueError(
                f"{type(self).__name__}.rule returns {made} tensors; let it return new values of {names}, in this order"
            )
        super().__init__(params, defaults)
        self._compiled: dict[torch.dtype, CompiledRule] = {}

    @staticmethod
    def rule(vectors: Sequence[Tensor], scalars: Sequence[Tensor]) -> Sequence[Tensor]:
        """Return new values of parameters and averages; nothing is changed in place.

        Args:
            vectors: parameters, each of `averages`, and the gradients: of one shape.
            scalars: numbers without axes, in the order of `scalars`.
        """
        raise NotImplementedError

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
        self.change()
        return loss

    def change(self) -> None:
        """Do what `step` does, without the hooks that may be registered for it; call it under `no_grad`."""
        for group in self.param_groups:
            scalars = [group[name] for name in self.scalars]
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._change(parameter, scalars)

    def fuse(self) -> dict[str, str]:
        """Compile the rule for the dtypes of its parameters, which it is carried out with from then on.

        Parameters that are not contiguous, or not on the CPU, stay torch's.

        Returns:
            by dtype, what the compiled code is known by.

        Raises:
            UnsupportedError: the rule cannot be compiled.
            BuildError: there is no compiler, or it fails.
        """
        dtypes = {parameter.dtype for group in self.param_groups for parameter in group["params"]}
        count = len(self.averages) + 2
        self._compiled = {
            dtype: compiled_rule(self.rule, count, len(self.scalars), dtype)
            for dtype in sorted(dtypes & REALS.keys(), key=str)
        }
        return {str(dtype).removeprefix("torch."): rule.key for dtype, rule in self._compiled.items()}

    def _change(self, parameter: Tensor, scalars: Sequence[float]) -> None:
        state, gradient = self.state[parameter], parameter.grad
        assert gradient is not None
        if not state:
            state.update({name: torch.zeros_like(parameter) for name in self.averages})
        vectors = [parameter, *(state[name] for name in self.averages), gradient]
        compiled = self._compiled.get(parameter.dtype)
        if compiled is not None and all(_is_plain(vector, parameter.dtype) for vector in vectors):
            compiled(vectors, scalars)
            return
        numbers = [torch.tensor(value, dtype=parameter.dtype) for value in scalars]
        for vector, value in zip(vectors, self.rule(vectors, numbers), strict=False):
            vector.copy_(value)

    def __getstate__(self) -> dict[str, Any]:
        # Compiled code stays in its process; what is copied or unpickled is compiled when it is asked for.
        return {**super().__getstate__(), "_compiled": {}}


def _is_plain(vector: Tensor, dtype: torch.dtype) -> bool:
    return vector.is_cpu and vector.dtype == dtype and vector.is_contiguous()
