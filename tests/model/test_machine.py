"""The sequence module as a citizen of PyTorch: copies, dtypes, devices, saving, autocast, distributed training."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from ntm_toolkit.controllers.specs import FeedforwardSpec, GRUSpec, LSTMSpec
from ntm_toolkit.heads.specs import ReadSpec, WriteSpec
from ntm_toolkit.memory.specs import MatrixSpec, RandomSpec
from ntm_toolkit.model.machine import Machine
from ntm_toolkit.spec.families import HeadSpec
from tests.examples import PAPER, SMALL, drawn, small_machine, small_spec
from tests.toys import LaggingSpec, OwningSpec, UnwrittenSpec, WrittenSpec


def random_start(seed: int = 0) -> Machine:
    """A machine whose memory starts at fixed random numbers."""
    return small_machine(seed=seed, memory=MatrixSpec(slots=SMALL.slots, width=SMALL.width, start=RandomSpec()))


def of_all_kinds() -> Machine:
    """A machine with stages that own, keep state and consult a tracker."""
    heads = [
        ReadSpec(count=2, addressing=[*PAPER, OwningSpec(), LaggingSpec()]),
        WriteSpec(addressing=[*PAPER, UnwrittenSpec()]),
        ReadSpec(name="later", addressing=PAPER),
    ]
    memory = MatrixSpec(slots=SMALL.slots, width=SMALL.width, start=RandomSpec(), trackers=[WrittenSpec()])
    return small_machine(heads=heads, memory=memory)


def through_torch_save(machine: Machine) -> Machine:
    """The machine as `torch.save` and `torch.load` give it back."""
    buffer = io.BytesIO()
    torch.save(machine, buffer)
    buffer.seek(0)
    loaded: Machine = torch.load(buffer, weights_only=False)
    return loaded


def same(first: Machine, second: Machine) -> bool:
    """Whether both compute bitwise the same."""
    inputs = drawn(3, 2, SMALL.inputs)
    (outputs, state), (others, other_state) = first(inputs), second(inputs)
    return torch.equal(outputs, others) and all(torch.equal(state[path], other_state[path]) for path in state)


@pytest.mark.parametrize("build", [small_machine, random_start, of_all_kinds])
@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda machine: pickle.loads(pickle.dumps(machine)), through_torch_save]
)
def test_copies_are_equal_and_apart(build: Callable[[], Machine], copied: Callable[[Machine], Machine]):
    """deepcopy, pickle and torch.save give a machine that computes the same with parameters of its own."""
    machine = build()
    other = copied(machine)
    assert same(machine, other)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1)
    assert not same(machine, other)
    assert same(machine, build())


@pytest.mark.parametrize("build", [random_start, of_all_kinds])
def test_a_state_dict_makes_any_start_the_same(build: Callable[[], Machine]):
    """All that the computation depends on is saved, a random start of the memory included."""
    machine, other = build(), build()
    with torch.no_grad():
        for tensor in other.state_dict().values():
            tensor.uniform_(-1, 1)
    assert not same(machine, other)
    other.load_state_dict(machine.state_dict())
    assert same(machine, other)


def test_the_names_of_the_copy_machine():
    """Parameters are named by path: these names are in every checkpoint, and may only grow."""
    stages = {"content.key", "content.strength", "interpolate.gate", "shift.shift", "sharpen.sharpness"}
    fields = {f"heads.{group}.addressing.{field}" for group in ("read", "write") for field in stages}
    fields |= {"heads.write.erase", "heads.write.add"}
    assert set(small_machine().state_dict()) == {
        *(f"interface.fields.{field}.{name}" for field in fields for name in ("weight", "bias")),
        "controller.layers.0.bias",
        "controller.layers.0.weights.hidden.weight",
        "controller.layers.0.weights.input.weight",
        "controller.layers.0.weights.reads.read.weight",
        "controller.starts.c0.value",
        "controller.starts.h0.value",
        "heads.read.initial_weighting.value",
        "heads.read.start.value",
        "heads.write.initial_weighting.value",
        "memory.start.value",
        "output.bias",
        "output.weights.controller.weight",
        "output.weights.reads.read.weight",
    }


def test_parameters_belong_to_paths_in_the_spec():
    """A field's rows belong to the part that asked for it, a tracker's tensors to the memory's."""
    machine = small_machine()
    path = "heads.read.addressing.content.key"
    assert machine.spec_path(f"interface.fields.{path}.weight") == f"{path}.weight"
    assert machine.spec_path("trackers.usage.rate") == "memory.trackers.usage.rate"
    assert machine.spec_path("output.bias") == "output.bias"


def test_precision_is_that_of_the_parameters():
    """After .double() everything is in double precision, close to what single precision gives."""
    single = Machine(small_spec(), SMALL.inputs, SMALL.outputs)
    inputs = drawn(4, 2, SMALL.inputs)
    outputs, state = single(inputs.float())
    assert {tensor.dtype for tensor in state.values()} == {torch.float32, torch.int64}
    doubled, double_state = copy.deepcopy(single).double()(inputs)
    assert {tensor.dtype for tensor in double_state.values()} == {torch.float64, torch.int64}
    torch.testing.assert_close(outputs.double(), doubled, rtol=1e-4, atol=1e-5)


def test_batch_first_only_turns_inputs_and_outputs():
    """(batch, time, channels) in and out; the state is the same."""
    inputs = drawn(4, 2, SMALL.inputs)
    lengths = torch.tensor([4, 2])
    outputs, state = small_machine()(inputs, lengths=lengths)
    turned, other = small_machine(batch_first=True)(inputs.transpose(0, 1), lengths=lengths)
    assert torch.equal(turned, outputs.transpose(0, 1))
    assert all(torch.equal(state[path], other[path]) for path in state)


def test_inside_autocast_the_machine_keeps_its_precision():
    """Half-precision inputs of a module before it are taken, and the result is that of its own dtype."""
    machine = Machine(small_spec(), SMALL.inputs, SMALL.outputs)
    before, inputs = nn.Linear(SMALL.inputs, SMALL.inputs), drawn(4, 2, SMALL.inputs).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = before(inputs)
        assert half.dtype == torch.bfloat16
        outputs, state = machine(half)
        outputs.sum().backward()
    assert outputs.dtype == torch.float32
    assert torch.equal(outputs, machine(half.float())[0])
    assert state["memory.matrix"].dtype == torch.float32
    assert all(parameter.grad is not None for parameter in before.parameters())


@pytest.mark.parametrize("controller", [FeedforwardSpec(size=5), LSTMSpec(size=5), GRUSpec(size=5)])
def test_every_parameter_has_a_gradient(controller: Any):
    """Over a few steps nothing that is trained is left out."""
    machine = small_machine(controller=controller, memory=MatrixSpec(slots=6, width=4, start=RandomSpec()))
    outputs, _ = machine(drawn(4, 2, SMALL.inputs))
    outputs.square().sum().backward()
    for name, parameter in machine.named_parameters():
        assert parameter.grad is not None, name
        assert bool(parameter.grad.any()), name


def test_training_mode_reaches_stages_that_groups_share():
    """`eval()` and `train()` reach all that is computed."""
    machine = small_machine(heads=[ReadSpec(addressing=PAPER), WriteSpec(addressing=PAPER)])
    modules = [stage.module for stages in machine.step.stages.values() for stage in stages]
    assert len(modules) == len(PAPER)
    machine.eval()
    assert not any(module.training for module in modules)
    machine.train()
    assert all(module.training for module in modules)


def test_what_is_computed_is_frozen_by_requires_grad():
    """A parameter that needs no gradient gets none, and the others do."""
    machine = small_machine()
    machine.get_parameter("interface.fields.heads.read.addressing.content.key.weight").requires_grad_(False)
    machine(drawn(2, 1, SMALL.inputs))[0].sum().backward()
    frozen = [name for name, parameter in machine.named_parameters() if parameter.grad is None]
    assert frozen == ["interface.fields.heads.read.addressing.content.key.weight"]


def test_inference_mode_and_no_grad_compute_the_same():
    """Bitwise what a call with gradients gives."""
    machine, inputs = small_machine(), drawn(3, 2, SMALL.inputs)
    outputs, _ = machine(inputs)
    with torch.no_grad():
        assert torch.equal(machine(inputs)[0], outputs)
    with torch.inference_mode():
        assert torch.equal(machine(inputs)[0], outputs)


def test_functional_calls_take_other_parameters():
    """`torch.func` sees every parameter, so that per-example gradients and ensembles work."""
    machine, inputs = small_machine(), drawn(3, 1, SMALL.inputs)
    names = [name for name, _ in machine.named_parameters()]
    other = dict(small_machine(seed=1).named_parameters())
    called, _ = torch.func.functional_call(machine, {name: other[name] for name in names}, (inputs,))
    torch.testing.assert_close(called, small_machine(seed=1)(inputs)[0])


@pytest.fixture
def one_process(tmp_path: Path) -> Iterator[None]:
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/rendezvous", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.usefixtures("one_process")
@pytest.mark.parametrize("carried", [False, True])
def test_distributed_data_parallel_trains_it(carried: bool):
    """Wrapped, it has the gradients that it has alone.

    A chunk that goes on from a carried state does not use where states start, which torch wants to be told.
    """
    alone, wrapped = of_all_kinds(), DistributedDataParallel(of_all_kinds(), find_unused_parameters=carried)
    inputs, lengths = drawn(4, 2, SMALL.inputs), torch.tensor([4, 3])
    for machine in (alone, wrapped):
        state = None
        for _ in range(3):
            outputs, state = machine(inputs, state.detach() if carried and state is not None else None, lengths)
            outputs.square().sum().backward()
    for (name, first), second in zip(alone.named_parameters(), wrapped.parameters(), strict=True):
        torch.testing.assert_close(first.grad, second.grad, msg=lambda message, name=name: f"{name}: {message}")


def test_a_head_that_reads_must_say_where_its_reads_start():
    """A part that forgets it is told so when the machine is built."""

    class Forgetful(ReadSpec):
        def initial_reads(self) -> None:
            return None

    heads: list[HeadSpec] = [Forgetful(name="mine", addressing=PAPER)]
    with pytest.raises(ValueError, match=r"model\.heads\.mine: a 'read' head reads, .* let initial_reads\(\)"):
        small_machine(heads=heads)


@pytest.mark.gpu
@pytest.mark.parametrize("build", [small_machine, of_all_kinds])
def test_a_machine_computes_on_the_gpu(build: Callable[[], Machine]):
    """Moved there, it gives what it gives on the CPU, in values and gradients, its state on the GPU too."""
    here, there = build(), build().cuda()
    inputs, lengths = drawn(5, 3, SMALL.inputs), torch.tensor([5, 2, 0])
    expected, _ = here(inputs, lengths=lengths)
    outputs, state = there(inputs.cuda(), lengths=lengths)
    assert {tensor.device.type for tensor in state.values()} == {"cuda"}
    torch.testing.assert_close(outputs.cpu(), expected)
    expected.square().sum().backward()
    outputs.square().sum().backward()
    for (name, first), second in zip(here.named_parameters(), there.parameters(), strict=True):
        torch.testing.assert_close(second.grad.cpu(), first.grad, msg=lambda message, name=name: f"{name}: {message}")


@pytest.mark.gpu
def test_a_machine_on_the_gpu_refuses_inputs_elsewhere():
    """The message has both devices."""
    with pytest.raises(ValueError, match="the model is on cuda:0, the inputs on cpu: move one to the other"):
        small_machine().cuda()(drawn(2, 1, SMALL.inputs))


@pytest.mark.gpu
def test_a_state_moves_between_devices():
    """A sequence begun on the CPU goes on on the GPU."""
    here, there, inputs = small_machine(), small_machine().cuda(), drawn(4, 2, SMALL.inputs)
    whole, _ = here(inputs)
    _, state = here(inputs[:2])
    outputs, _ = there(inputs[2:].cuda(), state.to("cuda"))
    torch.testing.assert_close(outputs.cpu(), whole[2:])
