"""Many parameters as one vector: what changes all of them is then one operation rather than dozens of small ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

_ALIGNED_TO = 64
"""Bytes: on such addresses torch's own tensors begin, and matrix products are fastest."""


class ParameterVector:
    """Parameters of one dtype and device, one after another; they become views of it, and keep their values.

    Args:
        parameters: at least one.

    Attributes:
        parameters: as given.
        whole: the vector, a parameter itself; between two parameters there may be zeros.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self.parameters = list(parameters)
        step = max(1, _ALIGNED_TO // parameters[0].element_size())
        self._sizes = [-(-parameter.numel() // step) * step for parameter in parameters]
        self.whole = nn.Parameter(parameters[0].new_zeros(sum(self._sizes)))
        self._values = self.split(self.whole.detach())
        self._addresses = [values.data_ptr() for values in self._values]
        self._copied = torch.zeros_like(self.whole.detach())
        self._gradients = self.split(self._copied)
        self._offsets = [place.storage_offset() * place.element_size() for place in self._gradients]
        self._without: list[int] = []
        self._take_over()

    def take_gradients(self) -> Tensor:
        """Return the parameters' gradients in one vector, zero where a parameter has none; it is `whole.grad`.

        Gradients that lie in one piece of memory as the vector does, zeros between them included, as those of the fused
        runtime do, are not copied.
        """
        if [parameter.data_ptr() for parameter in self.parameters] != self._addresses:
            self._take_over()
        given = [parameter.grad for parameter in self.parameters]
        self._without = [place for place, gradient in enumerate(given) if gradient is None]
        whole = None if self._without else self._in_one_piece(given)  # type: ignore[arg-type]
        if whole is None:
            for place in self._without:
                given[place] = torch.zeros_like(self._gradients[place])
            torch._foreach_copy_(self._gradients, given)  # type: ignore[arg-type]
            whole = self._copied
        self.whole.grad = whole
        return whole

    @property
    def has_resting(self) -> bool:
        """Whether a parameter had no gradient when they were taken."""
        return bool(self._without)

    @contextmanager
    def resting(self, averages: Mapping[str, object]) -> Iterator[None]:
        """Keep parameters without a gradient, and their averages, as they are while an optimiser changes the vector.

        Args:
            averages: the optimiser's state of the vector; it may fill while this lasts.
        """
        before = {name: self._at_rest(vector, copied=True) for name, vector in self._vectors(averages).items()}
        yield
        for name, vector in self._vectors(averages).items():
            for place, part in enumerate(self._at_rest(vector)):
                part.copy_(before[name][place]) if name in before else part.zero_()

    def split(self, vector: Tensor) -> list[Tensor]:
        """Return views of a vector laid out as this one, of the parameters' shapes."""
        pieces = zip(torch.split(vector, self._sizes), self.parameters, strict=True)
        return [piece[: parameter.numel()].view(parameter.shape) for piece, parameter in pieces]

    def join(self, parts: Sequence[Tensor | None]) -> Tensor:
        """Return a vector laid out as this one, made of a tensor for each parameter; zero where there is none."""
        vector = torch.zeros_like(self.whole, requires_grad=False)
        for place, part in zip(self.split(vector), parts, strict=True):
            if part is not None:
                place.copy_(part)
        return vector

    def fits(self, parts: Sequence[object]) -> bool:
        """Whether something of an optimiser's state is a tensor of each parameter's shape, where it is there."""
        return all(
            part is None or (isinstance(part, Tensor) and part.shape == parameter.shape)
            for part, parameter in zip(parts, self.parameters, strict=True)
        )

    def is_laid_out(self, value: object) -> bool:
        """Whether something of an optimiser's state has a number for each of the vector's."""
        return isinstance(value, Tensor) and value.shape == self.whole.shape

    def _in_one_piece(self, gradients: Sequence[Tensor]) -> Tensor | None:
        """Return gradients that lie as in the vector, or None where they do not."""
        first, dtype = gradients[0], self.whole.dtype
        begin = first.data_ptr()
        for gradient, offset in zip(gradients, self._offsets, strict=True):
            if gradient.data_ptr() - begin != offset or gradient.dtype is not dtype or not gradient.is_contiguous():
                return None
        start, size = first.storage_offset(), self.whole.numel()
        # What lies at these addresses is of this storage if it reaches that far.
        if first.untyped_storage().nbytes() < (start + size) * first.element_size():
            return None
        return first.as_strided((size,), (1,), start)

    def _take_over(self) -> None:
        """Make the parameters views of the vector: at first, and when something has given them other memory."""
        for parameter, values in zip(self.parameters, self._values, strict=True):
            if parameter.data_ptr() != values.data_ptr():
                values.copy_(parameter.detach())
                parameter.data = values

    def _vectors(self, averages: Mapping[str, object]) -> dict[str, Tensor]:
        found = {name: value for name, value in averages.items() if self.is_laid_out(value)}
        return {"": self.whole.detach(), **found}  # type: ignore[dict-item]

    def _at_rest(self, vector: Tensor, copied: bool = False) -> list[Tensor]:
        parts = self.split(vector)
        return [parts[place].clone() if copied else parts[place] for place in self._without]
