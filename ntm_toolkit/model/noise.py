"""Random numbers for noisy parts, drawn outside the step from (seed, batch, path, time)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ntm_toolkit.parts import NoiseKey, State, derived_seed
from ntm_toolkit.spec.declarations import Noise


def draw_noise(
    declared: Mapping[str, Noise], key: NoiseKey | None, state: State | None, time: int, *, like: Tensor, training: bool
) -> dict[str, Tensor]:
    """Return the random numbers of the next `time` steps, by path, (time, batch, *shape).

    Each sequence's are those of its own time, the number of steps that it has taken, so that a sequence cut in chunks,
    with its state carried, is given the same numbers as in one piece; so is a part of a batch, by `key.first` and
    `key.total`. They are drawn on the CPU, so that they are the same for every device. Without a state, sequences
    begin.
    """
    if not declared:
        return {}
    if key is None:
        key = NoiseKey(int(torch.randint(1 << 62, (1,))), 0)
    batch = like.shape[1]
    taken = torch.zeros(batch, dtype=torch.int64) if state is None else state["time"].cpu()
    times = torch.arange(time)[:, None] + taken
    different, place = torch.unique(times, return_inverse=True)
    whole = batch if key.total is None else key.total
    sequences = torch.arange(key.first, key.first + batch)
    drawn = {}
    for path, noise in declared.items():
        if noise.training_only and not training:
            drawn[path] = torch.full((time, batch, *noise.shape), noise.off, dtype=like.dtype, device=like.device)
            continue
        at_times = torch.stack([_draw(noise, key, path, at, (whole, *noise.shape)) for at in different.tolist()])
        drawn[path] = at_times[place, sequences].to(dtype=like.dtype, device=like.device)
    return drawn


def _draw(noise: Noise, key: NoiseKey, path: str, time: int, shape: tuple[int, ...]) -> Tensor:
    generator = torch.Generator().manual_seed(derived_seed(key.seed, "noise", key.batch, path, time))
    if noise.distribution == "normal":
        return torch.randn(shape, generator=generator, dtype=torch.float64)
    uniform = torch.rand(shape, generator=generator, dtype=torch.float64)
    if noise.distribution == "uniform":
        return uniform
    # Gumbel: -log(-log u); u is kept off 0, where it is infinite.
    return -(-uniform.clamp_min(1e-20).log()).log()
