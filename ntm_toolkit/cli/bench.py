"""`ntm bench`: how long a training step of a spec takes on this machine, and how much memory, by each runtime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ntm_toolkit.cli.output import print_json, print_table
from ntm_toolkit.cli.session import Session, plugin_options, session_of

if TYPE_CHECKING:
    from ntm_toolkit.benchmark.entries import Entry
    from ntm_toolkit.benchmark.timing import Timing
    from ntm_toolkit.plugins import Registry

RUNTIMES = ("fused", "compile", "eager")
OTHERS = ("jax",)


def _numbers(context: click.Context, parameter: click.Parameter, value: str) -> tuple[int, ...]:
    words = _words(value)
    if not words or not all(word.isdigit() and int(word) > 0 for word in words):
        raise click.BadParameter(f"'{value}' is no list of numbers above 0, as in 1,16,64", context, parameter)
    return tuple(int(word) for word in words)


def _rivals(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
    known = (*RUNTIMES, *OTHERS)
    for word in _words(value):
        if word not in known:
            raise click.BadParameter(f"there is no runtime '{word}' ({', '.join(known)})", context, parameter)
    return _words(value)


def _words(value: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word.strip() for word in value.split(",") if word.strip()))


@click.command(
    epilog="Example: ntm bench copy --batch 1,16 --against eager,compile\n\n"
    "Example: ntm bench my.yaml --plugin my_stage.py --beside copy\n\n"
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
    "--against", callback=_rivals, default="eager", show_default=True, metavar="NAME,...",
    help="What to compare the spec's own runtime with: fused, compile, eager; or jax, the paper's machine as a jitted "
    "lax.scan, forward and backward alone (pip install 'ntm-toolkit[jax]').",
)  # fmt: skip
@click.option("--beside", multiple=True, metavar="SPEC", help="Another spec to time in turns with it (repeatable).")
@click.option(
    "--pytorch-ntm", "checkout", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DIR",
    help="Compare with loudinthecloud/pytorch-ntm too, from this checkout of it.",
)  # fmt: skip
@click.option(
    "--memory/--no-memory", default=True, show_default=True,
    help="Measure how much memory training takes, each time in a process of its own.",
)  # fmt: skip
@click.option(
    "--plot", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Draw milliseconds over batch sizes into this file, such as times.png.",
)  # fmt: skip
@click.option("--explain", is_flag=True, help="Print what the fused runtime makes of the step, and time nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the timings as JSON, in seconds and bytes.")
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
    beside: tuple[str, ...],
    checkout: Path | None,
    memory: bool,
    plot: Path | None,
    explain: bool,
    as_json: bool,
) -> None:
    """Time a training step of SPEC by its runtime and by others, in turns, at several batch sizes.

    A training step is forward, backward, clipping and the optimiser's step, on one batch again and again. Medians are
    printed; tracing, compiling and warming up, which happen once, stand apart. Memory is what a process that does
    nothing else grows by from before its first training step to the peak of its later ones (on Linux, without the code
    of libraries).
    """
    from ntm_toolkit.experiments import load_spec

    session = session_of(context)
    experiment = load_spec(spec, overrides, registry=session.registry())
    if explain:
        from ntm_toolkit.benchmark.explanation import explanation

        click.echo(explanation(experiment))
        return

    import torch

    from ntm_toolkit.benchmark.entries import Entry
    from ntm_toolkit.benchmark.plot import check_ending, write_plot
    from ntm_toolkit.benchmark.surroundings import machine
    from ntm_toolkit.building import runtime_of

    if plot is not None:
        check_ending(plot)
    if threads or experiment.threads:
        torch.set_num_threads(threads or experiment.threads or 1)
    own = runtime_of(experiment).kind
    entries = [
        Entry(by, by, spec, overrides, length)
        for by in (own, *(by for by in against if by != own))
    ]  # fmt: skip
    for other in beside:
        kind = runtime_of(load_spec(other, registry=session.registry())).kind
        entries.append(Entry(f"{Path(other).stem} ({kind})", kind, other, length=length))
    if checkout is not None:
        entries.append(Entry("pytorch-ntm", "pytorch-ntm", spec, overrides, length, str(checkout)))
    timings = [
        timing
        for batch in batches
        for timing in _timed(entries, batch, repeats, session.registry())
    ]  # fmt: skip
    if memory:
        timings = _with_memory(timings, entries, session)
    if as_json:
        print_json({"machine": machine(), "timings": [timing.as_json() for timing in timings]})
    else:
        _print(timings, _described(machine()))
    if plot is not None:
        write_plot(timings, f"{spec}, {_described(machine())}", plot)


def _timed(entries: Sequence[Entry], batch: int, repeats: int, registry: Registry) -> list[Timing]:
    from ntm_toolkit.benchmark.timing import compare

    entered = [entry.enter(batch, registry) for entry in entries]
    return compare([contestant for contestant, _ in entered], batch, len(entered[0][1].inputs), repeats)


def _with_memory(timings: Sequence[Timing], entries: Sequence[Entry], session: Session) -> list[Timing]:
    import torch

    from ntm_toolkit.benchmark.entries import Plugins
    from ntm_toolkit.benchmark.memory import memory_of

    plugins = Plugins(
        tuple(map(str, session.plugin_files)), str(session.plugins_dir or ""), tuple(session.disabled)
    )  # fmt: skip
    named = {entry.name: entry for entry in entries}
    return [
        replace(timing, memory=memory_of(named[timing.name], timing.batch, plugins, torch.get_num_threads()))
        for timing in timings
    ]


def _described(machine: dict[str, object]) -> str:
    return (
        f"{machine['platform']}, {machine['processor']}, {machine['cores']} cores, {machine['instruction_set']}, "
        f"{machine['threads']} threads"
    )


def _print(timings: Sequence[Timing], machine: str) -> None:
    click.echo(machine)
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
                "" if timing is base else _times(timing.train, base.train),
                _milliseconds(timing.forward_and_backward),
                "" if timing is base else _times(timing.forward_and_backward, base.forward_and_backward),
                "" if timing.memory is None else f"{timing.memory / 2**20:.0f}",
                f"{timing.first:.1f}",
            ]
        )
    times = f"x {own}"
    headings = ["batch", "steps", "runtime", "train ms", times, "fwd+bwd ms", f"{times} ", "memory MiB", "first s"]
    print_table(headings, rows, right=[heading for heading in headings if heading != "runtime"])
    for note in notes:
        click.echo(f"note: {note}", err=True)


def _times(seconds: float | None, base: float | None) -> str:
    return "" if seconds is None or base is None else f"{seconds / base:.1f}"


def _milliseconds(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{1000 * seconds:.3g}" if seconds < 1 else f"{1000 * seconds:.0f}"
