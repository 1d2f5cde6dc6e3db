"""`ntm bench`: how long a training step of a spec takes on this machine, by each runtime, in one run."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from ntm_toolkit.cli.output import print_json, print_table
from ntm_toolkit.cli.session import plugin_options, session_of

if TYPE_CHECKING:
    from ntm_toolkit.benchmark.contestants import Contestant
    from ntm_toolkit.benchmark.timing import Timing
    from ntm_toolkit.spec.experiment import ExperimentSpec, RuntimeKind

RUNTIMES = ("fused", "compile", "eager")


def _numbers(context: click.Context, parameter: click.Parameter, value: str) -> tuple[int, ...]:
    words = _words(value)
    if not words or not all(word.isdigit() and int(word) > 0 for word in words):
        raise click.BadParameter(f"'{value}' is no list of numbers above 0, as in 1,16,64", context, parameter)
    return tuple(int(word) for word in words)


def _runtimes(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
    for word in _words(value):
        if word not in RUNTIMES:
            raise click.BadParameter(f"there is no runtime '{word}' ({', '.join(RUNTIMES)})", context, parameter)
    return _words(value)


def _words(value: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word.strip() for word in value.split(",") if word.strip()))


@click.command(
    epilog="Example: ntm bench copy --batch 1,16 --against eager,compile\n\n"
    "Example: ntm bench my.yaml --plugin my_stage.py --explain",
    short_help="Time a spec's training step.",
)
@click.argument("spec")
@click.option(
    "-o", "overrides", multiple=True, metavar="PATH=VALUE", help="Change the spec, as in model.memory.slots=64."
)
@click.option(
    "--batch", "batches", callback=_numbers, default="1,16,64", show_default=True, metavar="N,...",
    help="Batch sizes.",
)  # fmt: skip
@click.option(
    "--length", type=click.IntRange(min=1), default=20, show_default=True,
    help="The task's length; a task without one draws as in training.",
)  # fmt: skip
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads.  [default: the spec's, or torch's choice]")
@click.option("--repeats", type=click.IntRange(min=1), default=15, show_default=True, help="Repetitions of each.")
@click.option(
    "--against", callback=_runtimes, default="eager", show_default=True, metavar="RUNTIME,...",
    help="Runtimes to compare the spec's own with: fused, compile, eager.",
)  # fmt: skip
@click.option(
    "--pytorch-ntm", "checkout", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DIR",
    help="Compare with loudinthecloud/pytorch-ntm too, from this checkout of it.",
)  # fmt: skip
@click.option("--explain", is_flag=True, help="Print what the fused runtime makes of the step, and time nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the timings as JSON, in seconds.")
@plugin_options
@click.pass_context
def command(
    context: click.Context,
    spec: str,
    overrides: tuple[str, ...],
    batches: tuple[int, ...],
    length: int,
    threads: int | None,
    repeats: int,
    against: tuple[str, ...],
    checkout: Path | None,
    explain: bool,
    as_json: bool,
) -> None:
    """Time a training step of SPEC by its runtime and by others, in turns, at several batch sizes.

    A training step is forward, backward, clipping and the optimiser's step, on one batch again and again. Medians are
    printed; tracing, compiling and warming up, which happen once, stand apart.
    """
    from ntm_toolkit.experiments import load_spec

    experiment = load_spec(spec, overrides, registry=session_of(context).registry())
    if explain:
        from ntm_toolkit.benchmark.explanation import explanation

        click.echo(explanation(experiment))
        return

    import torch

    if threads or experiment.threads:
        torch.set_num_threads(threads or experiment.threads or 1)
    timings = [
        timing
        for batch in batches
        for timing in _timed(experiment, batch, length, repeats, against, checkout)
    ]  # fmt: skip
    if as_json:
        print_json({"machine": _machine(), "timings": [timing.as_json() for timing in timings]})
    else:
        _print(timings)


def _timed(
    spec: ExperimentSpec, batch: int, length: int, repeats: int, against: Sequence[str], checkout: Path | None
) -> list[Timing]:
    from ntm_toolkit.benchmark.contestants import by_pytorch_ntm, by_runtime, episodes_for
    from ntm_toolkit.benchmark.timing import compare
    from ntm_toolkit.building import runtime_of

    episodes = episodes_for(spec, batch, length)
    own = runtime_of(spec).kind
    kinds = [own, *(kind for kind in against if kind != own)]
    contestants: list[Contestant] = [by_runtime(spec, cast("RuntimeKind", kind), episodes) for kind in kinds]
    if checkout is not None:
        contestants.append(by_pytorch_ntm(spec, checkout, episodes))
    return compare(contestants, batch, len(episodes.inputs), repeats)


def _machine() -> dict[str, Any]:
    import torch

    return {
        "platform": platform.platform(),
        "instruction_set": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def _print(timings: Sequence[Timing]) -> None:
    machine = _machine()
    click.echo(f"{machine['platform']}, {machine['instruction_set']}, {machine['threads']} threads")
    own = timings[0].name
    rows, notes = [], dict.fromkeys(f"{timing.name}: {timing.note}" for timing in timings if timing.note)
    for timing in timings:
        [base] = [other for other in timings if other.name == own and other.batch == timing.batch]
        rows.append(
            [
                str(timing.batch),
                str(timing.steps),
                timing.name,
                _milliseconds(timing.train),
                "" if timing is base else f"{timing.train / base.train:.1f}",
                _milliseconds(timing.forward_and_backward),
                "" if timing is base else f"{timing.forward_and_backward / base.forward_and_backward:.1f}",
                f"{timing.first:.1f}",
            ]
        )
    times = f"x {own}"
    headings = ["batch", "steps", "runtime", "train ms", times, "fwd+bwd ms", f"{times} ", "first s"]
    print_table(headings, rows, right=[heading for heading in headings if heading != "runtime"])
    for note in notes:
        click.echo(f"note: {note}", err=True)


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.3g}" if seconds < 1 else f"{1000 * seconds:.0f}"
