"""The two programs of a traced step: forward, and backward with what it recomputes; and what lies on the tape between.

The tape holds the state before each step and every product with shared weights; the backward program computes the rest
of the forward step again from these. A weight's gradient that is a product of a column and a row leaves the loop: both
are recorded for each step and sample, and multiplied once at the end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

import torch
from torch import fx

from ntm_toolkit.runtime.fused.ir import Buffer, Contract, Kind, Shape, Statement, View, reads, writes
from ntm_toolkit.runtime.fused.lowering import Lowering, Outer, Stored
from ntm_toolkit.runtime.fused.operations import LOWERINGS
from ntm_toolkit.runtime.fused.trace import Joint


@dataclass(frozen=True)
class Program:
    """Statements, with the buffers through which they meet the world.

    Attributes:
        statements: in order.
        shared: parameters and buffers, by name; only those that are read.
        inputs: by role: `input`, `state.<path>`, `noise.<path>`, `lengths`, `tape.<n>`, `gradient.output`,
            `gradient.state.<path>`; only those that are read.
        outputs: by role, in the same words; `row.<n>` are what hoisted gradients are made of, `sum.<name>` what is
            added up over steps and samples.
    """

    statements: tuple[Statement, ...]
    shared: Mapping[str, Buffer]
    inputs: Mapping[str, Buffer]
    outputs: Mapping[str, View]


@dataclass(frozen=True)
class Hoisted:
    """The gradient of a parameter as left^T right over all steps and samples; rows by their number."""

    parameter: str
    left: int
    right: int


@dataclass(frozen=True)
class Prologue:
    """What comes before the steps, for all samples.

    Attributes:
        forward: from the machine's parameters and buffers (`own.<name>`) to `packed.<path>` and `state.<path>`.
        backward: from the same and `gradient.packed.<path>`, `gradient.state.<path>` to `gradient.own.<name>`.
        of_start: names of those of which the state at the start is made, and nothing that is packed.
    """

    forward: Program
    backward: Program
    of_start: frozenset[str]


@dataclass(frozen=True)
class Programs:
    """A step, compiled as far as no target is needed.

    Attributes:
        forward: from input, state, noise and lengths to the output, the new state and the tape.
        backward: from the same, the tape and gradients to gradients.
        tape: the shapes of what lies on it.
        hoisted: gradients that are computed after the loop.
        joint: the graph.
        prologue: what comes before the steps; None where that stays torch's.
    """

    forward: Program
    backward: Program
    tape: tuple[Shape, ...]
    hoisted: tuple[Hoisted, ...]
    joint: Joint
    prologue: Prologue | None = None


@dataclass(frozen=True)
class _Results:
    """The joint graph's outputs by what they are; None where there is no gradient."""

    forward: Mapping[str, fx.Node]
    backward: Mapping[str, fx.Node]
    shared: Mapping[str, fx.Node]


def programs(joint: Joint) -> Programs:
    """Return the forward and the backward program of a traced step.

    Raises:
        UnsupportedError: an operation without a lowering.
    """
    results, roles = _results(joint), roles_of(joint)
    [real] = [node.meta["val"].dtype for node, role in roles.items() if role == "input"]
    forward = lowered(joint.graph, real, roles, results.forward.values(), {})
    gradients = [*results.backward.values(), *results.shared.values()]
    candidates = {node: f"tape.{n}" for n, node in enumerate(_products_with_shared(forward))}
    backward = lowered(joint.graph, real, roles, gradients, candidates)
    hoisted, rows_and_sums = _weight_gradients(backward, results.shared)
    back = program(backward, {**roles, **candidates}, results.backward, rows_and_sums)

    # Only what the backward program reads is taped.
    taped = [node for node, role in candidates.items() if role in back.inputs]
    numbered = {candidates[node]: f"tape.{n}" for n, node in enumerate(taped)}
    back = replace(back, inputs={numbered.get(role, role): buffer for role, buffer in back.inputs.items()})
    onto_tape = {f"tape.{n}": node for n, node in enumerate(taped)}
    there = program(forward, roles, {**results.forward, **onto_tape})
    return Programs(there, back, tuple(_shape(node) for node in taped), tuple(hoisted), joint)


def of_the_output_alone(joint: Joint) -> set[str]:
    """Return the names of what is shared whose gradients no gradient of the state takes part in."""
    roles = roles_of(joint)
    of_state = {node for node, role in roles.items() if role.startswith("gradient.state.")}
    return {name for name, node in _results(joint).shared.items() if not of_state & set(needed([node], []))}


def _results(joint: Joint) -> _Results:
    [output] = joint.graph.graph.find_nodes(op="output")
    roles = ["output", *(f"state.{path}" for path in joint.state)]
    gradients = ["gradient.input", *(f"gradient.state.{path}" for path in joint.differentiable)]
    every = torch.utils._pytree.tree_leaves(output.args)
    assert len(every) == len(roles) + len(joint.shared) + len(gradients)

    def some(names: Sequence[str], start: int) -> dict[str, fx.Node]:
        nodes = every[start : start + len(names)]
        return {name: node for name, node in zip(names, nodes, strict=True) if isinstance(node, fx.Node)}

    first, second = len(roles), len(roles) + len(joint.shared)
    return _Results(some(roles, 0), some(gradients, second), some(joint.shared, first))


def roles_of(joint: Joint) -> dict[fx.Node, str]:
    """Return what each of the joint graph's placeholders is, in their order."""
    roles = [
        *(f"shared.{name}" for name in joint.shared),
        "input",
        *(f"state.{path}" for path in joint.state),
        *(f"noise.{path}" for path in joint.noise),
        "lengths",
        "gradient.output",
        *(f"gradient.state.{path}" for path in joint.differentiable),
    ]
    return dict(zip(joint.graph.graph.find_nodes(op="placeholder"), roles, strict=True))


def needed(wanted: Iterable[fx.Node], given: Iterable[fx.Node]) -> Counter[fx.Node]:
    """Return how often each node is read, of those from which the wanted ones are computed."""
    waiting, stop = list(wanted), set(given)
    uses: Counter[fx.Node] = Counter(waiting)
    seen = set()
    while waiting:
        node = waiting.pop()
        if node in seen:
            continue
        seen.add(node)
        if node not in stop:
            inputs: list[fx.Node] = []
            fx.map_arg((node.args, node.kwargs), inputs.append)
            uses.update(inputs)
            waiting.extend(inputs)
    return uses


def lowered(
    graph: fx.GraphModule,
    real: torch.dtype,
    roles: Mapping[fx.Node, str],
    wanted: Iterable[fx.Node],
    given: Mapping[fx.Node, str],
) -> Lowering:
    """Return the statements of a graph as far as they are needed.

    Args:
        graph: core ATen operations.
        real: the dtype of its numbers.
        roles: what the placeholders are.
        wanted: the nodes that are needed.
        given: nodes that are not to be computed but given, and their roles.
    """
    uses = needed(wanted, given)
    low = Lowering(LOWERINGS, uses, real)
    for node in graph.graph.nodes:
        if node not in uses:
            continue
        role = given.get(node) or roles.get(node)
        if role is not None:
            kind: Kind = "shared" if role.startswith("shared.") else "input"
            low.node = None
            low.values[node] = Stored(low.buffer(_shape(node), kind, _identifier(role)).whole())
        elif node.op == "get_attr":
            low.values[node] = attrgetter(str(node.target))(graph)
        else:
            low.run(node)
    low.node = None
    return low


def _shape(node: fx.Node) -> Shape:
    return tuple(node.meta["val"].shape)


def _identifier(role: str) -> str:
    return "".join(character if character.isalnum() else "_" for character in role)


def _products_with_shared(low: Lowering) -> list[fx.Node]:
    made = {
        statement.target.buffer
        for statement in low.statements
        if isinstance(statement, Contract) and (statement.left.buffer.shared or statement.right.buffer.shared)
    }
    found: dict[Buffer, fx.Node] = {}
    for node, value in low.values.items():
        if isinstance(value, Stored) and value.view.buffer in made and value.view == value.view.buffer.whole():
            found.setdefault(value.view.buffer, node)
    return list(found.values())


def _weight_gradients(low: Lowering, gradients: Mapping[str, fx.Node]) -> tuple[list[Hoisted], dict[str, View]]:
    hoisted: list[Hoisted] = []
    rows: dict[View, int] = {}
    sums: dict[str, View] = {}
    for name, node in gradients.items():
        value = low.values[node]
        if isinstance(value, torch.Tensor) and not bool(value.any()):
            continue
        if isinstance(value, Outer):
            left, right = (rows.setdefault(view, len(rows)) for view in (value.left, value.right))
            hoisted.append(Hoisted(name, left, right))
        else:
            sums[f"sum.{name}"] = low.view(value)
    return hoisted, {**{f"row.{n}": view for view, n in rows.items()}, **sums}


def program(
    low: Lowering,
    roles: Mapping[fx.Node, str],
    results: Mapping[str, fx.Node],
    more: Mapping[str, View] | None = None,
) -> Program:
    """Return the program of what has been lowered; `results`, and views that are there already, are its outputs."""
    outputs = {role: low.view(low.values[node]) for role, node in results.items()} | dict(more or {})
    statements, read = alive(low.statements, outputs.values())
    met: dict[str, Any] = {
        role: value.view.buffer
        for node, role in roles.items()
        if isinstance(value := low.values.get(node), Stored) and value.view.buffer in read
    }
    return Program(
        statements=tuple(statements),
        shared={role.removeprefix("shared."): buffer for role, buffer in met.items() if role.startswith("shared.")},
        inputs={role: buffer for role, buffer in met.items() if not role.startswith("shared.")},
        outputs=outputs,
    )


def alive(statements: Sequence[Statement], outputs: Iterable[View]) -> tuple[list[Statement], set[Buffer]]:
    """Return the statements that outputs depend on, in order, and all buffers that are read."""
    read = {view.buffer for view in outputs}
    alive = []
    for statement in reversed(statements):
        if any(view.buffer in read for view in writes(statement)):
            alive.append(statement)
            read.update(view.buffer for view in reads(statement))
    return alive[::-1], read
