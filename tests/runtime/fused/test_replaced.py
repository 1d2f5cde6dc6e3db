"""Each function that is traced in another form means, with its derivative, what torch's own does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from ntm_toolkit.runtime.fused.replaced import REPLACED
from tests.runtime.fused.test_operations import agrees, program_of

sdpa = functional.scaled_dot_product_attention


class Replacing(TorchFunctionMode):
    """Calls what is called while a step is traced."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[Any] = set()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in REPLACED:
            self.seen.add(func)
        return REPLACED.get(func, func)(*args, **(kwargs or {}))


def replaced(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as it is traced."""

    def traced(*given: Tensor) -> Any:
        with Replacing() as mode:
            made = function(*given)
        assert mode.seen
        return made

    return traced


CASES: dict[str, tuple[Any, ...]] = {
    "running products": (lambda a: (a.cumprod(-1), torch.cumprod(a, 1)), (3, 5)),
    "running products of zeros": (lambda a: (a.relu().cumprod(-1), (a * 0).cumprod(1)), (3, 8)),
    "running sums of exponentials": (lambda a: (a.logcumsumexp(-1), torch.logcumsumexp(400 * a, 1)), (3, 7)),
    "running extremes": (lambda a: (*a.cummax(-1), *torch.cummin(a, 1), *a.round().cummax(-1)), (3, 7)),
    "one element": (lambda a: (a.cumprod(-1), a.logcumsumexp(-1), *a.cummax(-1)), (1,)),
    "convolution": (lambda a, b: functional.conv1d(a, b[0], b[0, :, 0, 0]), (3, 6), (2, 3, 3)),
    "strides and padding": (
        lambda a, b: functional.conv1d(a, b[0], stride=2, padding=2, dilation=2),
        (3, 6),
        (2, 3, 3),
    ),
    "as long as before": (
        lambda a, b: (functional.conv1d(a, b[0], padding="same"), functional.conv1d(a, b[0], padding="valid")),
        (3, 6),
        (2, 3, 4),
    ),
    "a kernel for each head": (
        lambda a, b: functional.conv1d(a, b.reshape(3, 1, 3), padding=1, groups=3),
        (3, 6),
        (3, 3),
    ),
    "groups": (lambda a, b: functional.conv1d(a, b[0], groups=2), (4, 6), (6, 2, 3)),
    "without a batch": (lambda a, b: functional.conv1d(a[0], b[0])[None], (3, 6), (2, 3, 3)),
    "two dimensions": (
        lambda a, b: functional.conv2d(a, b[0], padding=(1, 0), stride=(2, 1)),
        (2, 5, 4),
        (3, 2, 2, 3),
    ),
    "pooling": (
        lambda a: (
            functional.avg_pool1d(a, 2),
            functional.avg_pool1d(a, 3, 1, 1),
            functional.max_pool1d(a, 2),
            functional.max_pool1d(a, 3, stride=1, padding=1, dilation=2),
        ),
        (3, 7),
    ),
    "distances": (lambda a, b: [torch.cdist(a, b, p) for p in (2.0, 1.0, 3.0, torch.inf)], (3, 4), (2, 4)),
    "distances of zero": (lambda a: torch.cdist(a, a), (3, 4)),
    "places among edges": (
        lambda a: (
            torch.searchsorted(a.detach().sort(-1).values, a.detach(), right=True) * a,
            torch.bucketize(a.detach(), torch.tensor([-0.5, 0.0, 0.5]).double()) + a,
        ),
        (5,),
    ),
    "the k-th in order": (lambda a: (*a.kthvalue(2, -1), torch.kthvalue(a, 3, 1, keepdim=True).values), (3, 4)),
    "attention": (lambda a, b: (sdpa(a, b, b), sdpa(a, b, b, scale=0.3)), (2, 3, 4), (2, 5, 4)),
    "masked attention": (
        lambda a, b: (
            sdpa(a, b, b, is_causal=True),
            sdpa(a, b, b, attn_mask=torch.ones(3, 3).tril().bool()),
            sdpa(a, b, b, attn_mask=torch.ones(3, 3).double().tril()),
        ),
        (2, 3, 4),
        (2, 3, 4),
    ),
    "one hot": (lambda a: functional.one_hot((a * 9).long() % 3, 3) * a[..., None], (4,)),
}


@pytest.mark.parametrize("name", CASES)
def test_means_what_torch_means(name: str) -> None:
    """Values and derivatives, to 1e-10."""
    function, *shapes = CASES[name]
    agrees(function, *shapes, traced=replaced(function))


def test_every_one_is_tried() -> None:
    """Each entry of the table is met in a case above, under that or another of its names."""
    seen: set[Any] = set()
    for function, *shapes in CASES.values():
        with Replacing() as mode:
            function(*(torch.rand(1, *shape, dtype=torch.float64) for shape in shapes))
        seen |= {REPLACED[func] for func in mode.seen}
    assert seen == set(REPLACED.values())


def test_scans_grow_with_digits() -> None:
    """A running product and its derivative take little more room than their argument: no square of its size."""

    def room(size: int) -> int:
        program = program_of(replaced(lambda a: a.cumprod(-1)), torch.rand(1, size).double())
        return sum(statement.target.buffer.size for statement in program.statements if hasattr(statement, "target"))

    assert room(256) < 3 * room(128)


def test_what_cannot_be_put_so_is_torch_s_own() -> None:
    """Options that the other form does not have, and whole numbers, are left to torch."""
    values = torch.rand(1, 2, 7, dtype=torch.float64)
    whole = (9 * values).long()
    for function in (
        lambda: functional.avg_pool1d(values, 2, ceil_mode=True),
        lambda: functional.max_pool1d(values, 2, ceil_mode=True),
        lambda: whole.cumprod(-1),
        lambda: whole.cummax(-1).values,
        lambda: functional.one_hot(whole),
        lambda: torch.searchsorted(torch.arange(4.0), 0.5),
    ):
        expected = function()
        with Replacing():
            assert torch.equal(function(), expected)
