"""What is timed: a model with its optimiser that takes training steps on one batch again and again."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ntm_toolkit.building import DTYPES, build
from ntm_toolkit.model.specs import NTMSpec
from ntm_toolkit.parts import Episodes, NoiseKey, SequenceModel
from ntm_toolkit.spec.errors import ToolkitError
from ntm_toolkit.spec.experiment import ExperimentSpec, RuntimeKind
from ntm_toolkit.training.descent import Descent

PYTORCH_NTM = "pytorch-ntm"


class Contestant(ABC):
    """Who computes on one batch, again and again.

    Args:
        name: what tables call it.
        trains: whether it also takes whole training steps; otherwise it computes gradients alone.
    """

    def __init__(self, name: str, *, trains: bool = True) -> None:
        self.name, self.trains = name, trains

    @abstractmethod
    def forward_and_backward(self) -> None:
        """Compute the gradients."""

    def train(self) -> None:
        """Take a whole training step: forward, backward, clipping, and the optimiser's step."""
        raise NotImplementedError(f"{self.name} computes gradients alone")

    def work(self) -> None:
        """Do as much of a training step as it can."""
        (self.train if self.trains else self.forward_and_backward)()

    def wait(self) -> None:
        """Return when all is done that was begun."""
        return


class TorchContestant(Contestant):
    """A PyTorch model in training, with the clipping and the optimiser of a training run.

    Args:
        name: what tables call it.
        parameters: what the optimiser changes.
        loss: runs the model forward, and returns the scalar to be minimised.
        spec: whose optimiser and clipping are taken.
        model: where it is one of ours, whose optimiser may be compiled as it is; None otherwise.
    """

    def __init__(
        self,
        name: str,
        parameters: list[nn.Parameter],
        loss: Callable[[], Tensor],
        spec: ExperimentSpec,
        model: SequenceModel | None = None,
    ) -> None:
        super().__init__(name)
        self.parameters, self.loss, self.model = parameters, loss, model
        self.descent = Descent(parameters, spec.training.optimizer, spec.training.clip)

    def forward_and_backward(self) -> None:
        """Compute the gradients."""
        self.descent.clear()
        torch.autograd.backward(self.loss())

    def train(self) -> None:
        """Take a whole training step: forward, backward, clipping, and the optimiser's step."""
        self.forward_and_backward()
        self.descent.clip(self.descent.norm())
        if self.model is not None:
            self.descent.follow(self.model)
        self.descent.step(0)

    def wait(self) -> None:
        """Return when the device is done."""
        if self.parameters[0].is_cuda:
            torch.cuda.synchronize()


def episodes_for(spec: ExperimentSpec, batch: int, length: int | None) -> Episodes:
    """Return a batch of the spec's task, always the same.

    Args:
        spec: the experiment.
        batch: episodes.
        length: the task's axis `length`; None leaves it to the task, as does a task without such an axis.
    """
    axes = {} if length is None or "length" not in spec.task.axes() else {"length": length}
    drawn = spec.task.build().episodes(torch.Generator().manual_seed(0), batch, **axes)
    return drawn.to(torch.device(spec.device), DTYPES[spec.dtype])


def by_runtime(spec: ExperimentSpec, kind: RuntimeKind, episodes: Episodes) -> Contestant:
    """Return the spec's own model, executed by a runtime.

    Raises:
        ToolkitError: the runtime cannot serve.
    """
    spec = spec.model_copy(update={"runtime": spec.runtime.model_copy(update={"kind": kind})})
    model, task = build(spec), spec.task.build()
    noise = NoiseKey(spec.training.seed, 0)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def loss() -> Tensor:
        outputs, _ = model(episodes.inputs, lengths=episodes.lengths, noise=noise)
        return task.loss(outputs, episodes)

    return TorchContestant(kind, parameters, loss, spec, model)


def by_pytorch_ntm(spec: ExperimentSpec, folder: Path, episodes: Episodes) -> Contestant:
    """Return the machine of loudinthecloud/pytorch-ntm of the same sizes, from a checkout of its code.

    Args:
        spec: whose sizes, optimiser and clipping are taken; its model has an LSTM controller.
        folder: the checkout, in which there is a package `ntm`.
        episodes: the batch, all of the same length.

    Raises:
        ToolkitError: there is no such code, or it has no such machine.
    """
    model = spec.model
    if not isinstance(model, NTMSpec) or model.controller.kind_of() != "lstm":
        raise ToolkitError(f"--pytorch-ntm: it has machines with an LSTM controller alone; this is '{model.kind_of()}'")
    inputs, outputs = spec.task.sizes()
    heads = max(head.count for head in model.heads)
    sizes: dict[str, Any] = {
        "num_inputs": inputs,
        "num_outputs": outputs,
        "controller_size": model.controller.output_size(),
        "controller_layers": 1,
        "num_heads": heads,
        "N": model.memory.slots,
        "M": model.memory.width,
    }
    machine = _encapsulated(folder)(**sizes).to(DTYPES[spec.dtype])
    targets, mask = episodes.targets, episodes.mask[..., None].to(DTYPES[spec.dtype])

    def loss() -> Tensor:
        machine.init_sequence(episodes.inputs.shape[1])
        # Its outputs are probabilities.
        probabilities = torch.stack([machine(step)[0] for step in episodes.inputs])
        scored: Tensor = nn.functional.binary_cross_entropy(probabilities * mask, targets * mask)
        return scored

    return TorchContestant(PYTORCH_NTM, list(machine.parameters()), loss, spec)


def _encapsulated(folder: Path) -> Any:
    sys.path.insert(0, str(folder))
    try:
        from ntm.aio import EncapsulatedNTM  # type: ignore[import-not-found]
    except ImportError as error:
        raise ToolkitError(f"--pytorch-ntm: {folder} is no checkout of loudinthecloud/pytorch-ntm ({error})") from error
    finally:
        sys.path.remove(str(folder))
    return EncapsulatedNTM
