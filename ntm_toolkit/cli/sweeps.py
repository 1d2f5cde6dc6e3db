"""The sizes of a task at which a run is evaluated: those of `--sweep`, or, where a spec says none, beyond training."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from ntm_toolkit.cli.output import number, print_table
from ntm_toolkit.spec.errors import SpecError

if TYPE_CHECKING:
    from ntm_toolkit.parts import Task
    from ntm_toolkit.spec.experiment import ExperimentSpec
    from ntm_toolkit.spec.families import TaskSpec
    from ntm_toolkit.training.rows import Row

SETTINGS = "evaluation.settings"
BEYOND = (1, 2, 4, 6)
"""Multiples of the largest size that training draws, at which a run is evaluated whose spec says no settings."""

MOST = 1000
"""Settings of a sweep at most."""

Setting = Mapping[str, int]


@dataclass(frozen=True)
class Sweep:
    """Values of one axis of a task.

    Attributes:
        axis: its name.
        values: in the order in which they were given, each once.
    """

    axis: str
    values: tuple[int, ...]


def parse_sweeps(context: click.Context, parameter: click.Parameter, texts: Sequence[str]) -> tuple[Sweep, ...]:
    """Return what `--sweep length=10,20 --sweep items=2:20:2` says, as click asks its callbacks.

    Raises:
        click.BadParameter: a text is no sweep, there are more than two, or one axis has several.
    """

    def wrong(what: str) -> click.BadParameter:
        return click.BadParameter(what, context, parameter)

    sweeps = []
    for text in texts:
        axis, equals, said = text.partition("=")
        try:
            values = tuple(dict.fromkeys(value for word in said.split(",") for value in _values(word.strip())))
        except ValueError:
            values = ()
        if not (axis.strip() and equals and values) or min(values) < 1:
            raise wrong(f"'{text}' is no sweep; say AXIS=VALUES, as in length=10,20,40 or items=2:20:2")
        sweeps.append(Sweep(axis.strip(), values))
    axes = [sweep.axis for sweep in sweeps]
    if len(set(axes)) < len(axes):
        raise wrong(f"the axis '{max(axes, key=axes.count)}' is swept twice; give all its values in one")
    if len(sweeps) > 2:
        raise wrong(f"at most two axes can be swept at once, and {len(sweeps)} are given")
    return tuple(sweeps)


def _values(word: str) -> Iterable[int]:
    """Return the values of `20`, `2:20` or `2:20:2`, both ends included."""
    parts = [int(part) for part in word.split(":")]
    match parts:
        case [value]:
            return [value]
        case [first, last]:
            found = range(first, last + 1)
        case [first, last, step] if step > 0:
            found = range(first, last + 1, step)
        case _:
            raise ValueError(word)
    if len(found) > MOST:
        raise ValueError(word)
    return found


def swept(sweeps: Sequence[Sweep]) -> list[Setting]:
    """Return all combinations of the values, the last axis changing fastest.

    Raises:
        click.UsageError: there are more than MOST.
    """
    settings: list[Setting] = [
        dict(zip((sweep.axis for sweep in sweeps), values, strict=True))
        for values in itertools.product(*(sweep.values for sweep in sweeps))
    ]
    if len(settings) > MOST:
        raise click.UsageError(f"--sweep: {len(settings):,} settings, and at most {MOST:,} are measured at once")
    return settings


def settings_override(settings: Sequence[Setting]) -> str:
    """Return the change of a spec that makes these its settings."""
    return f"{SETTINGS}={json.dumps([dict(setting) for setting in settings])}"


def says_settings(spec: ExperimentSpec, overrides: Iterable[str]) -> bool:
    """Return whether a spec, or a change of it, says at which settings it is evaluated."""
    return any(map(is_of_settings, overrides)) or any(spec.evaluation.settings)


def is_of_settings(override: str) -> bool:
    """Return whether a change of a spec, `path=value`, is of the settings."""
    path = override.partition("=")[0].strip()
    return path in ("evaluation", SETTINGS) or path.startswith(f"{SETTINGS}.")


def beyond_training(
    task: TaskSpec, with_settings: Callable[[Sequence[Setting]], ExperimentSpec]
) -> tuple[list[Setting], list[str]]:
    """Return settings as in training and beyond its sizes, along each axis by itself, and what was left out and why.

    Args:
        task: as it was trained on.
        with_settings: returns the run's spec with other settings, checked.
    """
    settings: list[Setting] = [{}]
    left_out: list[str] = []
    for axis, sizes in _trained(task).items():
        for times in BEYOND:
            setting = {axis: times * sizes[-1]}
            try:
                _draw(with_settings([setting]).task.build(), setting)
            except (SpecError, ValueError) as error:
                reason = error.problems[0].message if isinstance(error, SpecError) else str(error)
                left_out.append(f"{axis} {setting[axis]} is left out: {reason}")
                break
            settings.append(setting)
    return settings, left_out


def _draw(task: Task, setting: Setting) -> None:
    """Draw an episode, which raises where the task has none of that size."""
    import torch

    task.held_out(torch.Generator().manual_seed(0), 1, 0, **setting)


def _trained(task: TaskSpec) -> dict[str, range]:
    return {axis: sizes for axis, sizes in task.trained().items() if len(sizes)}


def trained_sizes(task: TaskSpec) -> str:
    """Return the sizes that training draws in words: `length 1 to 20, repeats 1 to 10`."""
    words = []
    for axis, sizes in _trained(task).items():
        words.append(f"{axis} {sizes[0]}" if len(sizes) == 1 else f"{axis} {sizes[0]} to {sizes[-1]}")
    return ", ".join(words)


def print_grids(rows: Sequence[Row], sweeps: Sequence[Sweep]) -> None:
    """Print a table for each metric: its mean, the first axis downwards and the second to the right."""
    down, right = sweeps
    found = {tuple(row.axes[sweep.axis] for sweep in sweeps): row for row in rows}
    for name in _metrics(rows):
        click.echo(f"{name.replace('_', ' ')}, mean over {rows[0].sequences:,} sequences of each setting")
        headings = [f"{down.axis} \\ {right.axis}", *map(str, right.values)]
        cells = [
            [str(value), *(number(found[value, other].mean.get(name)) for other in right.values)]
            for value in down.values
        ]
        print_table(headings, cells, right=headings)
        click.echo()


def _metrics(rows: Sequence[Row]) -> Iterator[str]:
    yield from dict.fromkeys(name for row in rows for name in row.mean)
