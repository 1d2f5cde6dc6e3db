"""What a model reaches on held-out sequences: each metric's mean and median, a guesser's and the optimum."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ntm_toolkit.parts import Episodes, NoiseKey, SequenceModel, Task, derived_seed
from ntm_toolkit.spec.experiment import EvaluationSpec
from ntm_toolkit.training.rows import Row


def evaluate(
    model: SequenceModel,
    task: Task,
    evaluation: EvaluationSpec,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    stream: str = "test",
    between: Callable[[], None] | None = None,
    seen: Callable[[Mapping[str, int], Episodes, Tensor], None] | None = None,
) -> list[Row]:
    """Return what the model reaches at each setting; neither it nor any random state is changed.

    The sequences are a function of (evaluation.seed, stream, setting, evaluation.batch), and never those of training.

    Args:
        model: takes (time, batch, channels).
        task: makes the sequences.
        evaluation: how many sequences, at which settings.
        device: where the model is.
        dtype: of the model's parameters.
        stream: `validation` for what training is stopped by, `test` for what is reported.
        between: called after each batch; it may raise to end the evaluation.
        seen: called with the axes, the sequences and the model's outputs (time, batch, outputs) of each batch.

    Raises:
        ValueError: the task does not have an axis of a setting.
    """
    with _evaluating(model):
        return [
            _row(model, task, evaluation, axes, device, dtype, stream, between, seen) for axes in evaluation.settings
        ]


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    training = {module: module.training for module in model.modules()}
    devices = {parameter.device for parameter in model.parameters() if parameter.is_cuda}
    model.eval()
    try:
        # Modules that draw from torch's own generators, such as nn.Dropout, must not move them for training.
        with torch.inference_mode(), torch.random.fork_rng(devices=list(devices)):
            torch.manual_seed(0)
            yield
    finally:
        for module, was in training.items():
            module.training = was


def _row(
    model: SequenceModel,
    task: Task,
    evaluation: EvaluationSpec,
    axes: Mapping[str, int],
    device: torch.device | str,
    dtype: torch.dtype,
    stream: str,
    between: Callable[[], None] | None,
    seen: Callable[[Mapping[str, int], Episodes, Tensor], None] | None,
) -> Row:
    setting = ",".join(f"{axis}={axes[axis]}" for axis in sorted(axes))
    measured: dict[str, list[Tensor]] = {}
    guessed: dict[str, list[Tensor]] = {}
    best: dict[str, list[Tensor]] = {}
    done, index = 0, 0
    while done < evaluation.sequences:
        count = min(evaluation.batch, evaluation.sequences - done)
        seed = derived_seed(evaluation.seed, "held-out", stream, setting, index)
        stream_of_batch = torch.Generator().manual_seed(seed)
        episodes = task.held_out(stream_of_batch, count, done, **axes).to(device, dtype)
        outputs, _ = model(episodes.inputs, lengths=episodes.lengths, noise=NoiseKey(seed, index))
        _collect(measured, task.metrics(outputs, episodes))
        _collect(guessed, task.chance(episodes))
        _collect(best, task.oracle(episodes) or {})
        if seen is not None:
            seen(axes, episodes, outputs)
        done, index = done + count, index + 1
        if between is not None:
            between()
    values = {name: torch.cat(parts).cpu().double() for name, parts in measured.items()}
    return Row(
        axes=dict(axes),
        sequences=done,
        mean={name: float(value.mean()) for name, value in values.items()},
        # torch's median is the lower of the two in the middle; this is their mean, as everywhere else.
        median={name: float(value.quantile(0.5)) for name, value in values.items()},
        lower={name: float(value.quantile(0.25)) for name, value in values.items()},
        upper={name: float(value.quantile(0.75)) for name, value in values.items()},
        chance=_means(guessed),
        oracle=_means(best),
    )


def _collect(into: dict[str, list[Tensor]], metrics: Mapping[str, Tensor]) -> None:
    for name, values in metrics.items():
        into.setdefault(name, []).append(values.detach())


def _means(collected: Mapping[str, list[Tensor]]) -> dict[str, float]:
    return {name: float(torch.cat(parts).cpu().double().mean()) for name, parts in collected.items()}
