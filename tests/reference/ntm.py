"""The Neural Turing Machine in loops, written from Graves, Wayne & Danihelka 2014 and from nothing else.

One sequence at a time, one head at a time, one slot at a time, in float64; vectors are the only thing that is not
looped over. Gradients come from torch's autograd through these loops. Specs are read as data and parameters are looked
up by name; no module of the toolkit computes anything here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

Vector = Tensor
Scalar = Tensor
Weighting = list[Scalar]
Rows = list[Vector]
Parameters = Mapping[str, Tensor]


def sigmoid(x: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-x))


def softplus(x: Tensor) -> Tensor:
    return torch.log(1 + torch.exp(x))


def softmax(scores: list[Scalar]) -> list[Scalar]:
    largest = max(float(score.detach()) for score in scores)
    powers = [torch.exp(score - largest) for score in scores]
    return [power / sum(powers) for power in powers]


def norm(vector: Vector) -> Scalar:
    # The root has no gradient at 0; the zero vector's is taken to be 0, as torch does.
    squares = (vector * vector).sum()
    return squares * 0 if float(squares.detach()) == 0 else torch.sqrt(squares)


def activated(raw: Vector, activation: str) -> Vector:
    match activation:
        case "none":
            return raw
        case "tanh":
            return (torch.exp(2 * raw) - 1) / (torch.exp(2 * raw) + 1)
        case "sigmoid":
            return sigmoid(raw)
        case "softplus":
            return softplus(raw)
        case "one-plus-softplus":
            return 1 + softplus(raw)
        case "relu":
            return torch.stack([x if x > 0 else x * 0 for x in raw])
        case "one-plus-relu":
            return 1 + activated(raw, "relu")
        case "exp":
            return torch.exp(raw)
        case "softmax":
            return torch.stack(softmax(list(raw)))
    raise ValueError(activation)


# Addressing, section 3.3


def cosine(key: Vector, row: Vector, epsilon: float, epsilon_in: str) -> Scalar:
    """Eq. 6: u . v / (|u| |v|), with the epsilon where implementations put it."""
    if epsilon_in == "denominator":
        return (key * row).sum() / (norm(key) * norm(row) + epsilon)
    if epsilon_in == "maximum":
        lengths = [length if length > epsilon else length * 0 + epsilon for length in (norm(key), norm(row))]
        return (key * row).sum() / (lengths[0] * lengths[1])
    if epsilon_in == "squares":
        roots = [torch.sqrt((vector * vector).sum() + epsilon) for vector in (key, row)]
        return (key * row).sum() / (roots[0] * roots[1] + epsilon)
    if epsilon_in == "operands":
        return cosine(key + epsilon, row + epsilon, 1e-8, "maximum")
    raise ValueError(epsilon_in)


def focused_by_content(strength: Scalar, similarities: list[Scalar]) -> Weighting:
    """Eq. 5: w_c(i) = exp(beta K(i)) / sum_j exp(beta K(j))."""
    return softmax([strength * similarity for similarity in similarities])


def interpolated(gate: Scalar, weighting: Weighting, previous: Weighting) -> Weighting:
    """Eq. 7: w_g = g w_c + (1 - g) w_{t-1}."""
    return [gate * w + (1 - gate) * before for w, before in zip(weighting, previous, strict=True)]


def kernel_of(values: Vector, radius: int, offsets: str) -> dict[int, Scalar]:
    """The weight of each offset, of a vector whose elements mean offsets in one of three orders."""
    order = {
        "ascending": list(range(-radius, radius + 1)),
        "descending": [-offset for offset in range(-radius, radius + 1)],
        "centred": [offset if offset <= radius else offset - 2 * radius - 1 for offset in range(2 * radius + 1)],
    }[offsets]
    return {offset: values[place] for place, offset in enumerate(order)}


def kernel_of_scalar(shift: Scalar, radius: int) -> dict[int, Scalar]:
    """6.7 means s(6) = .3 and s(7) = .7; what is beyond the radius is cut to it."""
    if float(shift.detach()) > radius:
        shift = shift * 0 + radius
    if float(shift.detach()) < -radius:
        shift = shift * 0 - radius
    lower = math.floor(float(shift.detach()))
    kernel = dict.fromkeys(range(-radius, radius + 1), shift * 0)
    kernel[lower] = 1 - (shift - lower)
    if lower < radius:
        kernel[lower + 1] = shift - lower
    return kernel


def shifted(weighting: Weighting, kernel: Mapping[int, Scalar], circular: bool) -> Weighting:
    """Eq. 8: w~(i) = sum_j w_g(j) s(i - j), modulo N where it is circular."""
    slots = len(weighting)
    result = [weighting[0] * 0 for _ in weighting]
    for j, weight in enumerate(weighting):
        for offset, share in kernel.items():
            i = j + offset
            if circular or 0 <= i < slots:
                result[i % slots] = result[i % slots] + weight * share
    return result


def sharpened(weighting: Weighting, gamma: Scalar, form: str, epsilon: float) -> Weighting:
    """Eq. 9: w(i) = w~(i)^gamma / sum_j w~(j)^gamma, with the epsilon under the power or in the denominator."""
    if form == "log":
        powers = [(w + epsilon) ** gamma for w in weighting]
        return [power / sum(powers) for power in powers]
    powers = [w**gamma for w in weighting]
    return [power / (sum(powers) + epsilon) for power in powers]


# Reading and writing, sections 3.1 and 3.2


def read(weighting: Weighting, memory: Rows) -> Vector:
    """Eq. 2: r = sum_i w(i) M(i)."""
    return sum(w * row for w, row in zip(weighting, memory, strict=True))


def written(memory: Rows, weightings: list[Weighting], erases: Rows, adds: Rows) -> Rows:
    """Eqs. 3 and 4, all erases before all adds: M~(i) = M(i) (1 - w(i) e), M(i) = M~(i) + w(i) a."""
    rows = list(memory)
    for weighting, erase in zip(weightings, erases, strict=True):
        rows = [row * (1 - w * erase) for row, w in zip(rows, weighting, strict=True)]
    for weighting, add in zip(weightings, adds, strict=True):
        rows = [row + w * add for row, w in zip(rows, weighting, strict=True)]
    return rows


# Controllers, section 3.4


def lstm(mapped: Vector, cell: Vector) -> tuple[Vector, Vector]:
    """Hochreiter & Schmidhuber 1997 with forget gates: h and c of W [x; h] + b, its rows for i, f, o and g."""
    size = cell.shape[0]
    i, f, o, g = (mapped[k * size : (k + 1) * size] for k in range(4))
    cell = sigmoid(f) * cell + sigmoid(i) * activated(g, "tanh")
    return sigmoid(o) * activated(cell, "tanh"), cell


def gru(mapped: Vector, own: Vector, past: Vector) -> Vector:
    """Cho et al. 2014 in torch's form: h of W x + b and U h' + b', their rows for r, z and n."""
    size = past.shape[0]
    reset = sigmoid(mapped[:size] + own[:size])
    keep = sigmoid(mapped[size : 2 * size] + own[size : 2 * size])
    candidate = activated(mapped[2 * size :] + reset * own[2 * size :], "tanh")
    return (1 - keep) * candidate + keep * past


# The machine


class ReferenceMachine:
    """A machine of a spec for one sequence, its parameters and fixed starts given by the names of a state_dict."""

    def __init__(self, spec: Any, parameters: Parameters) -> None:
        self.spec, self.parameters = spec, parameters

    def initial(self) -> dict[str, Any]:
        """The state before the first step."""
        state: dict[str, Any] = {
            "memory": list(self._start("memory.start", self.spec.memory.start)),
            "controller": self._controller_start(),
        }
        for head in self.spec.heads:
            weightings = self._start(f"heads.{head.name}.initial_weighting", head.initial_weighting)
            state[f"{head.name}.weighting"] = [list(weighting) for weighting in weightings]
            if head.kind == "read":
                state[f"{head.name}.reads"] = list(self._start(f"heads.{head.name}.start", head.start))
        return state

    def run(self, inputs: list[Vector]) -> tuple[list[Vector], dict[str, Any]]:
        """The output of each step, and the state after the last."""
        state, outputs = self.initial(), []
        for vector in inputs:
            output, state = self.step(vector, state)
            outputs.append(output)
        return outputs, state

    def step(self, vector: Vector, state: dict[str, Any]) -> tuple[Vector, dict[str, Any]]:
        reads = {head.name: state[f"{head.name}.reads"] for head in self.spec.heads if head.kind == "read"}
        new = dict(state)
        hidden, new["controller"] = self._controlled(vector, reads, state["controller"])
        fields = self._fields(hidden)
        old, memory = state["memory"], state["memory"]
        written_at, erases, adds = [], [], []
        for head in self.spec.heads:
            sees = memory if self.spec.order == "sequential" else old
            weightings = [self._addressed(head, index, fields, sees, state) for index in range(head.count)]
            new[f"{head.name}.weighting"] = weightings
            if head.kind == "read":
                new[f"{head.name}.reads"] = [read(weighting, sees) for weighting in weightings]
                continue
            own_erases = [fields[f"heads.{head.name}.erase"][index] for index in range(head.count)]
            own_adds = [fields[f"heads.{head.name}.add"][index] for index in range(head.count)]
            memory = written(memory, weightings, own_erases, own_adds)
            written_at, erases, adds = written_at + weightings, erases + own_erases, adds + own_adds
        new["memory"] = memory if self.spec.order == "sequential" else written(old, written_at, erases, adds)
        return self._output(hidden, new), new

    def _start(self, name: str, spec: Any) -> Tensor:
        value = self.parameters[f"{name}.value"]
        if spec.kind == "learned-weighting":
            return torch.stack([torch.stack(softmax(list(row))) for row in value])
        if spec.kind == "learned":
            return activated(value, spec.activation)
        return value

    def _controller_start(self) -> list[Vector]:
        controller = self.spec.controller
        if controller.kind == "feedforward":
            return []
        names = ("h", "c") if controller.kind == "lstm" else ("h",)
        zero = torch.zeros(controller.size, dtype=torch.float64)
        return [
            self.parameters.get(f"controller.starts.{name}{layer}.value", zero)
            for layer in range(controller.layers)
            for name in names
        ]

    def _controlled(self, vector: Vector, reads: dict[str, Rows], state: list[Vector]) -> tuple[Vector, list[Vector]]:
        controller, below, new = self.spec.controller, vector, []
        for layer in range(controller.layers):
            prefix = f"controller.layers.{layer}"
            mapped = self.parameters[f"{prefix}.bias"]
            source = "below" if layer else "input"
            mapped = mapped + self.parameters[f"{prefix}.weights.{source}.weight"] @ below
            if layer == 0:
                for group, vectors in reads.items():
                    mapped = mapped + self.parameters[f"{prefix}.weights.reads.{group}.weight"] @ torch.cat(vectors)
            if controller.kind == "feedforward":
                below = activated(mapped, controller.activation)
            elif controller.kind == "lstm":
                past, cell = state[2 * layer : 2 * layer + 2]
                below, cell = lstm(mapped + self.parameters[f"{prefix}.weights.hidden.weight"] @ past, cell)
                new += [below, cell]
            else:
                past = state[layer]
                recurrent = f"controller.recurrent.{layer}"
                own = self.parameters[f"{recurrent}.weight"] @ past + self.parameters[f"{recurrent}.bias"]
                below = gru(mapped, own, past)
                new.append(below)
        return below, new

    def _field_activations(self) -> dict[str, str]:
        fields = {}
        for head in self.spec.heads:
            for stage in head.addressing:
                path = f"heads.{head.name}.addressing.{stage.name}"
                if stage.kind == "content":
                    fields[f"{path}.key"] = stage.key_activation
                    fields[f"{path}.strength"] = stage.strength_activation
                elif stage.kind == "interpolate":
                    fields[f"{path}.gate"] = stage.activation
                elif stage.kind == "shift":
                    fields[f"{path}.shift"] = "softmax" if stage.form == "softmax" else "none"
                elif stage.kind == "sharpen":
                    fields[f"{path}.sharpness"] = stage.activation
            if head.kind == "write":
                fields[f"heads.{head.name}.erase"] = head.erase_activation
                fields[f"heads.{head.name}.add"] = head.add_activation
        return fields

    def _fields(self, hidden: Vector) -> dict[str, list[Vector]]:
        """Each field of each head: the interface's map of h, and the field's activation."""
        interface, raw = self.spec.interface, {}
        for path in self._field_activations():
            weight, bias = (self.parameters[f"interface.fields.{path}.{name}"] for name in ("weight", "bias"))
            if interface.kind == "layer-norm":
                bias = bias * 0
            raw[path] = [weight[head] @ hidden + bias[head] for head in range(weight.shape[0])]
        if interface.kind == "layer-norm" and raw:
            raw = self._normalized(raw)
        elif interface.kind == "linear" and interface.clamp is not None:
            raw = {
                path: [vector.clamp(-interface.clamp, interface.clamp) for vector in vectors]
                for path, vectors in raw.items()
            }
        return {
            path: [activated(vector, activation) for vector in raw[path]]
            for path, activation in self._field_activations().items()
        }

    def _normalized(self, raw: dict[str, list[Vector]]) -> dict[str, list[Vector]]:
        numbers = [number for vectors in raw.values() for vector in vectors for number in vector]
        mean = sum(numbers) / len(numbers)
        variance = sum((number - mean) ** 2 for number in numbers) / len(numbers)
        scale = torch.sqrt(variance + self.spec.interface.epsilon)
        normalized = {}
        for path, vectors in raw.items():
            gain, bias = (self.parameters[f"interface.fields.{path}.{name}"] for name in ("gain", "bias"))
            normalized[path] = [
                (vector - mean) / scale * gain[head] + bias[head] for head, vector in enumerate(vectors)
            ]
        return normalized

    def _addressed(
        self, head: Any, index: int, fields: dict[str, list[Vector]], memory: Rows, state: dict[str, Any]
    ) -> Weighting:
        weighting = previous = state[f"{head.name}.weighting"][index]
        for stage in head.addressing:
            path = f"heads.{head.name}.addressing.{stage.name}"
            if stage.kind == "content":
                key, (strength,) = fields[f"{path}.key"][index], fields[f"{path}.strength"][index]
                similarity = stage.similarity
                similarities = [cosine(key, row, similarity.epsilon, similarity.epsilon_in) for row in memory]
                weighting = focused_by_content(strength, similarities)
            elif stage.kind == "interpolate":
                before = previous
                if stage.group is not None:
                    there = state[f"{stage.group}.weighting"]
                    mean = [sum(weights) / len(there) for weights in zip(*there, strict=True)]
                    before = there[index] if len(there) == head.count else mean
                weighting = interpolated(fields[f"{path}.gate"][index][0], weighting, before)
            elif stage.kind == "shift":
                values = fields[f"{path}.shift"][index]
                if stage.form == "scalar":
                    kernel = kernel_of_scalar(values[0], stage.radius)
                else:
                    kernel = kernel_of(values, stage.radius, stage.offsets)
                weighting = shifted(weighting, kernel, stage.circular)
            elif stage.kind == "sharpen":
                weighting = sharpened(weighting, fields[f"{path}.sharpness"][index][0], stage.form, stage.epsilon)
        return weighting

    def _output(self, hidden: Vector, state: dict[str, Any]) -> Vector:
        output = self.parameters["output.bias"] + self.parameters["output.weights.controller.weight"] @ hidden
        if self.spec.output.sees == "controller-and-reads":
            for head in self.spec.heads:
                if head.kind == "read":
                    weight = self.parameters[f"output.weights.reads.{head.name}.weight"]
                    output = output + weight @ torch.cat(state[f"{head.name}.reads"])
        bound = self.spec.output.clamp
        return output if bound is None else output.clamp(-bound, bound)


def run_batch(
    spec: Any, parameters: Parameters, inputs: Tensor, lengths: list[int] | None = None
) -> tuple[Tensor, dict[str, Tensor]]:
    """Run each sequence of inputs (time, batch, channels) alone, for its length; outputs after it are zero."""
    time, batch, _ = inputs.shape
    machine, outputs, states = ReferenceMachine(spec, parameters), [], []
    zero = torch.zeros(parameters["output.bias"].shape[0], dtype=torch.float64)
    for sequence in range(batch):
        length = time if lengths is None else lengths[sequence]
        own, state = machine.run([inputs[step, sequence] for step in range(length)])
        outputs.append(torch.stack(own + [zero] * (time - length)))
        states.append(_flat(state, spec))
    together = {path: torch.stack([state[path] for state in states]) for path in states[0]}
    return torch.stack(outputs, dim=1), together


def _flat(state: dict[str, Any], spec: Any) -> dict[str, Tensor]:
    flat = {"memory.matrix": torch.stack(state["memory"])}
    for head in spec.heads:
        weightings = [torch.stack(weighting) for weighting in state[f"{head.name}.weighting"]]
        flat[f"heads.{head.name}.weighting"] = torch.stack(weightings)
        if head.kind == "read":
            flat[f"heads.{head.name}.reads"] = torch.stack(state[f"{head.name}.reads"])
    names = {"feedforward": (), "lstm": ("h", "c"), "gru": ("h",)}[spec.controller.kind]
    paths = [f"controller.{name}{layer}" for layer in range(spec.controller.layers) for name in names]
    flat.update(dict(zip(paths, state["controller"], strict=True)))
    return flat
