"""Each operation, and its derivative, means what it means in eager: through the interpreter, for several samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, fx
from torch._subclasses.functional_tensor import dispatch_functionalize
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional

from ntm_toolkit.runtime.fused.interpret import interpret
from ntm_toolkit.runtime.fused.ir import reads, writes
from ntm_toolkit.runtime.fused.lowering import Lowering, Stored
from ntm_toolkit.runtime.fused.operations import LOWERINGS
from ntm_toolkit.runtime.fused.program import Program
from ntm_toolkit.runtime.fused.trace import decompositions
from ntm_toolkit.runtime.fused.unsupported import UnsupportedError

SAMPLES = 2


def program_of(function: Callable[..., Any], *examples: Tensor) -> Program:
    """The program of a function of tensors (1, ...) and of its derivative by those that are floating-point."""

    def joint(*given: Tensor) -> list[Tensor | None]:
        leaves = [value.detach().requires_grad_(value.is_floating_point()) for value in given]
        made = _listed(function(*leaves))
        outputs = [value for value in made if value.requires_grad]
        moving = [leaf for leaf in leaves if leaf.requires_grad]
        weights = [torch.full_like(value, 0.5) + 0.25 * value.detach() for value in outputs]
        found = torch.autograd.grad(outputs, moving, weights, allow_unused=True) if outputs else []
        return [*(value.detach() for value in made), *found]

    graph = make_fx(dispatch_functionalize(joint), decomposition_table=decompositions())(*examples)
    graph.graph.eliminate_dead_code()
    uses = {node: len(node.users) for node in graph.graph.nodes}
    low = Lowering(LOWERINGS, uses, torch.float64)
    placeholders = graph.graph.find_nodes(op="placeholder")
    for number, node in enumerate(placeholders):
        low.values[node] = Stored(low.buffer(node.meta["val"].shape, "input", f"x{number}").whole())
    inputs = {f"x{n}": low.values[node].view.buffer for n, node in enumerate(placeholders)}
    for node in graph.graph.nodes:
        if node.op == "get_attr":
            low.values[node] = getattr(graph, str(node.target))
        elif node.op == "call_function":
            low.run(node)
    [output] = graph.graph.find_nodes(op="output")
    nodes = torch.utils._pytree.tree_leaves(output.args)
    outputs = {str(n): low.view(low.values[node]) for n, node in enumerate(nodes) if isinstance(node, fx.Node)}
    return Program(tuple(low.statements), {}, inputs, outputs)


def expected(function: Callable[..., Any], *given: Tensor) -> dict[str, Tensor]:
    """What eager makes of one sample."""
    leaves = [value.clone().requires_grad_(value.is_floating_point()) for value in given]
    made = _listed(function(*leaves))
    outputs, moving = [v for v in made if v.requires_grad], [leaf for leaf in leaves if leaf.requires_grad]
    weights = [torch.full_like(value, 0.5) + 0.25 * value.detach() for value in outputs]
    found = torch.autograd.grad(outputs, moving, weights, allow_unused=True) if outputs else []
    return {str(n): value.detach() for n, value in enumerate([*made, *found]) if value is not None}


def _listed(made: Any) -> list[Tensor]:
    return [made] if isinstance(made, Tensor) else list(made)


def agrees(
    function: Callable[..., Any],
    *shapes: tuple[int, ...],
    like: Callable[[Tensor], Tensor] | None = None,
    traced: Callable[..., Any] | None = None,
) -> None:
    """The program and eager agree on random numbers of these shapes (after a batch of 1), for every sample.

    The program is made of `traced`, where that is given.
    """
    generator = torch.Generator().manual_seed(len(shapes))
    samples = [torch.randn(SAMPLES, 1, *shape, generator=generator, dtype=torch.float64) for shape in shapes]
    if like is not None:
        samples = [like(value) for value in samples]
    program = program_of(traced or function, *(value[0] for value in samples))
    made = interpret(
        program, {}, {f"x{n}": value for n, value in enumerate(samples)} | {"x": torch.zeros(SAMPLES).double()}
    )
    for sample in range(SAMPLES):
        for role, value in expected(function, *(given[sample] for given in samples)).items():
            torch.testing.assert_close(made[role][sample], value.double(), rtol=1e-10, atol=1e-12, equal_nan=True)
    _written_before_read(program)


def _written_before_read(program: Program) -> None:
    """No buffer is written after somebody has read it, but by the statements that make it."""
    seen = set()
    for statement in program.statements:
        targets = {view.buffer for view in writes(statement)}
        assert not targets & seen
        seen |= {view.buffer for view in reads(statement)} - targets


CASES: dict[str, tuple[Any, ...]] = {
    "arithmetic": (
        lambda a, b: (a + b, a - 2 * b, a * b, a / (b * b + 1), 3 - a, -a, torch.add(a, b, alpha=3)),
        (4,),
        (4,),
    ),
    "broadcasting": (lambda a, b: (a * b, a.exp() - b, torch.where(a > b, a, b)), (3, 1), (1, 4)),
    "square and root": (lambda a: (a**2, a**3, (a * a + 1) ** 0.5, (a * a + 1) ** -1.5, 2.0**a), (3,)),
    "lerp": (
        lambda a, b, c: (torch.lerp(a, b, c), torch.lerp(a, b, 0.3), torch.lerp(a.exp(), b.exp(), c)),
        (3,),
        (3,),
        (3,),
    ),
    "clamp": (lambda a: (a.clamp(-0.5, 0.5), a.clamp_min(0), a.clamp(max=0.1), a.relu(), a.clamp(1.0, -1.0)), (5,)),
    "clamp by tensors": (lambda a, b: torch.clamp(a, b, b + 1), (5,), (5,)),
    "ties of maxima": (lambda a: (torch.maximum(a.round(), a.round().flip(-1)), a.round().amax(-1)), (6,)),
    "addcmul": (lambda a, b, c: (torch.addcmul(a, b, c, value=-0.5), torch.addcdiv(a, b, c * c + 1)), (3,), (3,), (3,)),
    "bools": (lambda a: ((a > 0) & (a < 1), ~(a > 0), (a > 0) ^ (a > 1), (a > 0) | (a < -1), (a > 0) + (a > 1)), (6,)),
    "bools as numbers": (
        lambda a: (a * (a > 0), (a > 0).to(a.dtype) - 1, (a > 0).sum(), (a > 0).to(a.dtype).mean()),
        (6,),
    ),
    "division by what is broadcast": (
        lambda a, b: (a / (b * b + 1), a / a.norm(dim=-1, keepdim=True), a.detach() // b.detach(), a / b.exp().sum()),
        (2, 6),
        (2, 1),
    ),
    "quotient of bools": (lambda a: (a > -9).sum().to(a.dtype) / ((a > 0).sum() + 1).to(a.dtype), (6,)),
    "any and all": (lambda a: ((a > 0).any(-1), (a > -9).all(), (a > 0).all(-1, keepdim=True), (a > 3).any()), (2, 3)),
    "nan and infinity": (lambda a: (torch.isnan(a / 0 * 0), torch.isinf(a / 0), torch.nan_to_num(a.log())), (4,)),
    "whole quotients": (
        lambda a: [(a * 9).long() // 3, (a * 9).long() % 4, -((a * 9).long()) // 4, (a * 9).long() ** 2],
        (7,),
    ),
    "quotients": (
        lambda a, b: (
            a.detach() // b.detach(),
            torch.div(a, b, rounding_mode="trunc"),
            a % b,
            torch.fmod(a, b),
            a.remainder(0.3),
        ),
        (7,),
        (7,),
    ),
    "bits": (
        lambda a: [(a * 9).long() & 5, (a * 9).long() | 4, (a * 9).long() ^ (a * 5).long(), ~(a * 9).long()],
        (7,),
    ),
    "shifted bits": (lambda a: [(a * 9).long() << 2, (a * 9).long() >> 1, 1 << (a.abs() * 3).long()], (7,)),
    "conversions": (lambda a: ((a * 5).int(), (a * 5).long().to(a.dtype) * a, a.bool(), (a > 0).long() - 2), (6,)),
    "constants": (
        lambda a: (a * 0.1 + torch.full_like(a, 0.1), a + torch.tensor([0.1, 0.2]).double(), a.new_zeros(2) + a),
        (2,),
    ),
    "large constants": (lambda a: a @ (torch.arange(40)[:, None] > torch.arange(40)).to(a.dtype), (2, 40)),
    "copy": (lambda a: torch.zeros_like(a).copy_(a[..., :1]), (4,)),
    "views": (
        lambda a: (a.mT, a.reshape(-1, 6), a[..., None, :].expand(-1, -1, 2, -1), a.unbind(1)[0], a[:, 1::2]),
        (4, 3),
    ),
    "views of views": (lambda a: a.flip(1).mT.reshape(1, -1)[..., 2:9].unfold(-1, 3, 2).flip(-1), (4, 3)),
    "reshaped flips": (
        lambda a: (a.flip(-1).reshape(1, -1) * 2, a.flip(1, 2).view(1, 12), a.expand(1, 4, 3).flip(2).sum(1)),
        (4, 3),
    ),
    "squeeze": (lambda a: (a.squeeze(1), a.unsqueeze(-1).squeeze(-1), a.squeeze(), a.squeeze((0, 1))), (1, 3)),
    "split": (lambda a: (*a.split([1, 3], -1), *a.chunk(2, 1), *a.tensor_split(3, -1)), (2, 4)),
    "diagonal": (lambda a: (a.diagonal(dim1=1, dim2=2), a.diagonal(1, 1, 2) * 2, a.tril(), a.triu(1)), (3, 4)),
    "diagonal matrix": (lambda a: (torch.diag_embed(a), torch.diag_embed(a, 1) * a.sum()), (3,)),
    "cat and stack": (
        lambda a, b: (torch.cat([a, b, a * 2], -1), torch.stack([a, a.exp()], 1), torch.cat([a, b[..., :0]], -1)),
        (3,),
        (2,),
    ),
    "roll": (lambda a: (a.roll(1, -1), a.roll((1, -2), (1, 2)), a.roll(3), a.roll(0, 1)), (3, 4)),
    "pad": (
        lambda a: (functional.pad(a, (1, 2)), functional.pad(a, (-1, 1, 0, 2)), functional.pad(a, (1, 1), value=2.0)),
        (2, 3),
    ),
    "reflecting pad": (lambda a: functional.pad(a, (1, 1), mode="reflect"), (2, 4)),
    "tiling": (lambda a: (a.repeat(1, 2, 3), a.repeat_interleave(2, -1), a.tile(2)), (2, 3)),
    "sums": (
        lambda a: (a.sum(), a.sum(-1), a.sum((1, 2), keepdim=True), a.mean(1), a.mean(), a[:, :0].sum(-1)),
        (2, 3),
    ),
    "sums of slices": (
        lambda a: a[..., :2].sum(-1) * a[..., 1:].sum(-1) + a[..., 0].exp() + a.sum(-1) * a[..., ::2].sum(-1),
        (2, 3),
    ),
    "extremes": (
        lambda a: (a.amax(-1), a.amin((1, 2)), a.max(), *a.max(1), *a.min(-1, keepdim=True), *a.aminmax(dim=1)),
        (3, 4),
    ),
    "places of extremes": (
        lambda a: (a.argmax(-1), a.argmin(1, keepdim=True), a.argmax(), a.round().argmax(-1)),
        (3, 4),
    ),
    "variance": (
        lambda a: (a.var(-1), a.std(1, unbiased=False), *torch.var_mean(a, (1, 2), correction=0, keepdim=True)),
        (3, 4),
    ),
    "norms": (
        lambda a: [a.norm(dim=-1)] + [torch.linalg.vector_norm(a, p, -1) for p in (0, 1, 3, torch.inf, -torch.inf)],
        (3, 4),
    ),
    "products": (lambda a: (a.prod(-1), a.prod(1, keepdim=True), a.prod()), (2, 3)),
    "products with zeros": (
        lambda a: (a.relu().prod(-1), (a * 0).prod(-1), a.relu().cumprod(-1), a.relu().cumprod(1)),
        (3, 4),
    ),
    "scans": (lambda a: (a.cumsum(-1), a.cumsum(1), a.cumprod(-1), torch.cumprod(a, dim=1)), (3, 4)),
    "softmax": (
        lambda a: (a.softmax(-1), a.softmax(1), a.log_softmax(-1), a.logsumexp(-1), functional.softmin(a, 1)),
        (3, 4),
    ),
    "matrix products": (
        lambda a, b: (a @ b, a @ b[:, :, 0].mT, torch.bmm(a, b), torch.baddbmm(a @ b, a, b, alpha=2)),
        (2, 3),
        (3, 2),
    ),
    "einsum": (lambda a, b: (torch.einsum("bij,bkj->bik", a, b), torch.einsum("bij,bij->b", a, b)), (2, 3), (2, 3)),
    "outer products": (lambda a, b: (a[..., None] @ b[:, None], torch.einsum("bi,bj->bij", a, b) * 2), (3,), (4,)),
    "linear": (lambda a, b: (functional.linear(a, b[0]), functional.linear(a.mT[..., :3], b[0])), (3, 3), (2, 3)),
    "sort": (
        lambda a: (*a.sort(-1), *a.sort(1, descending=True), a.argsort(-1), *torch.sort(a, stable=True, dim=1)),
        (3, 4),
    ),
    "ties keep their order": (
        lambda a: (*a.round().sort(dim=-1, stable=True), *a.sign().sort(dim=-1, descending=True, stable=True)),
        (9,),
    ),
    "top k": (lambda a: (*a.topk(2, -1), *a.topk(2, 1, largest=False), a.topk(1, dim=-1).values), (3, 4)),
    "gather": (
        lambda a: (
            a.gather(-1, a.argsort(-1)),
            a.gather(1, a.argsort(1)[:, :2, :3]),
            a.take_along_dim(a.argmax(1, keepdim=True), 1),
        ),
        (3, 4),
    ),
    "indices": (
        lambda a: (a[:, [0, 2, 2]], a[..., [-1, 0]], a[:, torch.tensor([[0, 1], [2, -1]])], a[:, [0, 1], [2, -1]]),
        (3, 4),
    ),
    "apart indices": (lambda a: (a[:, [0, 1], :, [1, -1]], a[torch.tensor([0]), :, torch.tensor([1])]), (3, 2, 4)),
    "computed indices": (
        lambda a: (a[:, :, a.sum((1, 2)).long() % 4], a.index_select(1, a.sum((1, 2)).long() % 3)),
        (3, 4),
    ),
    "negative computed indices": (lambda a: a[:, :, a.sum((1, 2)).long() % 4 - 4], (3, 4)),
    "scatter": (
        lambda a: (torch.zeros_like(a).scatter(-1, a.argsort(-1), a), a.scatter(-1, a.argmax(-1, keepdim=True), 2.0)),
        (2, 4),
    ),
    "scatter add": (
        lambda a: (
            a.scatter_add(-1, a.argsort(-1) // 2, a * 2),
            a.scatter_reduce(-1, a.argsort(-1), a, "sum"),
            torch.zeros_like(a).scatter_add(-1, a.argsort(-1)[..., :2], a.detach()),
        ),
        (2, 4),
    ),
    "index put": (lambda a: _put(a), (3, 4)),
    "masks": (lambda a: (a.masked_fill(a > 0, 2.0), torch.index_put(a, (a > 0,), torch.tensor(0.5).double())), (3, 4)),
    "written slices": (lambda a: _written(a), (3, 4)),
    "embedding": (lambda a: functional.embedding((a[:, 0] * 9).long() % 3, a[0]), (3, 4)),
    "layer norm": (lambda a, b: functional.layer_norm(a, (4,), b[0], b[0] * 2), (3, 4), (4,)),
    "group norm": (lambda a: functional.group_norm(a, 2), (4, 3)),
    "activations": (
        lambda a: [
            f(a) for f in (functional.gelu, functional.silu, functional.elu, functional.selu, functional.softsign)
        ],
        (5,),
    ),
    "losses": (
        lambda a, b: (functional.mse_loss(a, b), functional.huber_loss(a, b), functional.cosine_similarity(a, b)),
        (4,),
        (4,),
    ),
    "logarithms of sums": (
        lambda a, b: (torch.logaddexp(a, b), functional.logsigmoid(a), functional.softplus(a * 30)),
        (4,),
        (4,),
    ),
    "angles": (lambda a, b: (torch.atan2(a, b), torch.hypot(a, b), a.tanh().atanh(), torch.sinc(a)), (4,), (4,)),
    "choices of two": (
        lambda a, b: (torch.copysign(a, b), torch.fmax(a, b), torch.fmin(a, b), torch.frac(a)),
        (4,),
        (4,),
    ),
    "less precise inside": (
        lambda a: (a * (a.argmax(-1) * 0.1), a + a.argmin(-1) / 3, a.float() * 0.3 + a, (a.float() / 3).double()),
        (7,),
    ),
    "vectors": (
        lambda a, b: (torch.mv(a[0], b[0]), torch.addmv(b[0], a[0], b[0]), torch.dot(b[0], b[0])),
        (3, 3),
        (3,),
    ),
    "ball": (lambda a: functional.normalize(a, dim=-1) + functional.normalize(a * 0, dim=1), (3, 4)),
    "kronecker": (lambda a, b: (torch.cross(a, b, dim=-1), torch.tensordot(a[0], b[0], ([0], [0]))[None]), (3,), (3,)),
}


def _put(a: Tensor) -> list[Tensor]:
    batch, places = torch.arange(1), torch.tensor([0, 0])
    first = a.clone()
    first[:, [1, 0]] = 2 * a[:, :2]
    second = torch.index_put(a, (batch[:, None], places, torch.tensor([2, -2])), a[:, 0, :2], accumulate=True)
    return [first, second, a.index_add(1, torch.tensor([1, 1]), a[:, :2])]


def _written(a: Tensor) -> Tensor:
    new = a.clone()
    new[:, 0] = 0.0
    new[..., 1:3] += 2 * a[..., :2]
    new[:, 1, ::2] = a[:, 2, :2]
    new.diagonal(dim1=1, dim2=2).mul_(3)
    return new.add_(1)


@pytest.mark.parametrize("name", CASES)
def test_means_what_eager_means(name: str):
    """Values and derivatives of what an operation is written for, to 1e-10."""
    function, *shapes = CASES[name]
    agrees(function, *shapes)


def test_zeros_have_derivatives():
    """Where whole rows are zero, products and norms have torch's derivatives."""
    agrees(lambda a: (a.prod(-1), a.cumprod(-1), a.norm(dim=-1), a.abs().sum(-1)), (3, 4), like=torch.zeros_like)


def test_values_are_never_overwritten():
    """Sums into windows leave alone whoever else reads what is added to."""

    def shared(a: Tensor) -> list[Tensor]:
        base = a.exp()
        padded = functional.pad(a[..., :2], (0, 2))
        first, seen = base + padded, base.flip(-1)
        second = base + functional.pad(a[..., 2:], (2, 0))
        return [first, second, padded * 2, padded + padded, seen * base, first + padded, (padded + base) + second]

    agrees(shared, (3, 4))


def test_many_slices_fill_a_gradient():
    """The gradients of slices that do not overlap and leave nothing out are stored side by side, nothing is cleared."""
    program = program_of(lambda a: a[..., :1].exp() * a[..., 1:].sum(-1, keepdim=True), torch.rand(1, 4).double())
    gradient = program.outputs["1"].buffer
    stores = [statement for statement in program.statements if gradient in {v.buffer for v in writes(statement)}]
    assert [getattr(statement, "accumulate", None) for statement in stores] == [False, False]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda a: torch.fft.rfft(a).abs(), r"does not know the operation aten\._?fft"),
        (lambda a: a[a > 0].sum(), "looks at a tensor's values"),
        (lambda a: a.half() * 2, "numbers become torch.float16"),
        (lambda a: a * torch.rand(4), "random numbers are drawn inside the step.*view.noise"),
        (lambda a: functional.dropout(a, 0.5), "random numbers are drawn inside the step"),
        (lambda a: functional.conv1d(a[:, None], a[:1, None, :2]), "convolution.*unfold"),
        (lambda a: a.scatter_reduce(-1, a.argsort(-1), a, "amax"), "scatter_reduce with 'amax'"),
    ],
)
def test_refusals_say_what_instead(function: Callable[..., Any], message: str):
    """What cannot be lowered is refused by name, with a way out."""
    with pytest.raises(UnsupportedError, match=f"(?s){message}"):
        program_of(function, torch.rand(1, 4).double())
