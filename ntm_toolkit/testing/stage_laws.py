"""The laws of weightings and of stages: a weighting stays one, and the neutral setting is the identity."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ntm_toolkit.testing.bench import Bench, Trial
from ntm_toolkit.testing.laws import BrokenLaw, LawSkipped, rule
from ntm_toolkit.testing.stage_bench import StageBench
from ntm_toolkit.testing.values import Regime, alike

_TOLERANCE = 1e-6
_GIVEN_WEIGHT: tuple[Regime, ...] = (
    "ordinary numbers",
    "one-hot weightings",
    "an empty memory",
    "raw fields of 50",
    "raw fields of -50",
)


@rule("weighting")
def weighting_stays(bench: Bench[Any]) -> None:
    """A weighting stays a weighting: no element is negative, and all sum to 1, or to at most 1 if the spec says so."""
    at_most = bool(getattr(bench.spec, "sums_to_less", False))
    for trial in bench.trials(*_GIVEN_WEIGHT):
        outputs = trial.run()
        for name in bench.weightings:
            _require_weighting(trial, name, outputs[name], at_most=at_most)


@rule("neutral")
def neutral_is_identity(bench: StageBench) -> None:
    """At the field values that it declares neutral, the weighting comes out as it went in."""
    dims = bench.dims(bench.sizes[0])
    if bench.spec.neutral(dims) is None:
        raise LawSkipped("it declares no neutral setting")
    for trial in bench.trials("ordinary numbers", "one-hot weightings"):
        values = _neutral_values(bench, trial)
        result = bench.call_with_values(trial.module, trial.inputs, values)["weighting"]
        given = trial.inputs["weighting"]
        if not alike(result, given, tolerance=_TOLERANCE):
            raise trial.broken(
                "at its neutral setting the weighting changes",
                {**{f"fields['{n}']": v for n, v in values.items()}, "weighting before": given, "after": result},
            )


def _neutral_values(bench: StageBench, trial: Trial) -> dict[str, Tensor]:
    dims = bench.dims(trial.sizes)
    declared, neutral = bench.spec.interface(dims), bench.spec.neutral(dims) or {}
    if set(neutral) - set(declared):
        raise BrokenLaw(f"neutral() names {sorted(set(neutral) - set(declared))}, and the fields are {list(declared)}")
    values = bench.values(trial.inputs)
    for name, value in neutral.items():
        size = declared[name].size
        setting = torch.as_tensor(value, dtype=torch.float64)
        if setting.dim() and setting.shape != (size,):
            raise BrokenLaw(f"neutral()['{name}'] has {setting.numel()} numbers, and the field has {size}")
        values[name] = setting.expand(trial.sizes.batch, trial.sizes.heads, size)
    return values


def _require_weighting(trial: Trial, name: str, weighting: Tensor, *, at_most: bool) -> None:
    seen = {**trial.inputs, name: weighting}
    if bool((weighting < -_TOLERANCE).any()):
        raise trial.broken(f"{name} has the negative element {weighting.min().item():.4g}", seen)
    sums = weighting.sum(-1)
    too_much, too_little = bool((sums > 1 + _TOLERANCE).any()), bool((sums < 1 - _TOLERANCE).any())
    if at_most and too_much:
        raise trial.broken(f"{name} sums to {sums.max().item():.6g}, and may sum to 1 at most", seen)
    if not at_most and (too_much or too_little):
        worst = sums.flatten()[(sums - 1).abs().argmax()].item()
        raise trial.broken(
            f"{name} sums to {worst:.6g}, not to 1; normalize it, or let the spec's sums_to_less say True if it may "
            "sum to less",
            seen,
        )
