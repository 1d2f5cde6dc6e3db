"""The tables and figures of what was trained: keep the results of shipped ablations, and write the pages from them.

    ntm ablate run NAME                            trains what a shipped ablation says, into runs/NAME
    python docs/studies.py keep NAME [FOLDER]      puts its results into docs/results/studies/NAME.jsonl
    python docs/studies.py compare NAME [FOLDER]   says how the results in FOLDER differ from those that are kept
    python docs/studies.py write                   writes tables and figures from what is kept

Tests check that the pages are what `write` makes, and that what is kept is of the ablations that are shipped.
"""

from __future__ import annotations

import dataclasses
import io
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ntm_toolkit.ablation import load_results
from ntm_toolkit.ablation.archive import write_archive
from ntm_toolkit.ablation.report import tables as report
from ntm_toolkit.ablation.report.figures import curve_metrics, learning_band
from ntm_toolkit.ablation.report.markdown import markdown_table
from ntm_toolkit.ablation.report.summary import Summary, summarize
from ntm_toolkit.ablation.results import RunResult

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "docs" / "results" / "studies"
FIGURES = ROOT / "docs" / "images" / "studies"
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))

_MARK = re.compile(r"(<!-- study: ([\w, -]+): ([^\n]+?) -->\n).*?(<!-- end of study -->\n)", re.DOTALL)
_SETTING = re.compile(r"(\w+)\[(.*)\]")
_STYLE = {"svg.fonttype": "none", "svg.hashsalt": "studies", "font.size": 8, "axes.spines.top": False}
_COLORS = (
    *("#3d86cf", "#d2691e", "#4c9a5b", "#9467bd", "#8c564b", "#888888"),
    *("#17a2b8", "#c0392b", "#b8a000", "#e377c2", "#1f3b6f", "#7fbf3f"),
)


def keep(name: str, folder: Path) -> None:
    """Keep the results of an ablation that has been run.

    Raises:
        ToolkitError: the folder holds no ablation.
    """
    KEPT.mkdir(parents=True, exist_ok=True)
    write_archive(load_results(folder), KEPT / f"{name}.jsonl")


def compare(name: str, folder: Path) -> list[str]:
    """Return how results differ from those that are kept: a line for each run that does, and one that sums up.

    The same torch, instruction set, thread count and runtime give the same bits; others give other numbers, and runs
    that solve a task as often.
    """
    kept, found = (load_results(place) for place in (KEPT / f"{name}.jsonl", folder))
    theirs = {(run.variant, run.seed): run for run in kept.runs}
    same, lines = 0, []
    for run in found.runs:
        other = theirs.get((run.variant, run.seed))
        if other is None:
            lines.append(f"{run.variant}, seed {run.seed}: none is kept")
        elif _outcome(other) == _outcome(run):
            same += 1
        else:
            lines.append(f"{run.variant}, seed {run.seed}: kept {_told(other)}; now {_told(run)}")
    lines += [f"{variant}, seed {seed}: has no result here" for variant, seed in found.missing]
    return [*lines, f"{same} of {len(kept.runs)} runs gave the same to the last bit"]


def _outcome(run: RunResult) -> tuple[object, ...]:
    return run.status, run.solved_after, dict(run.measures)


def _told(run: RunResult) -> str:
    solved = "not solved" if run.solved_after is None else f"solved after {run.solved_after:,}"
    return ", ".join([solved, *(f"{name} {report.number(value)}" for name, value in run.measures.items())])


def written(page: str) -> str:
    """Return a page with what is kept in place of what stands between its marks.

    Raises:
        KeyError: a mark asks for what is not kept, or for a table that there is not.
    """
    return _MARK.sub(lambda found: f"{found[1]}{_rendered(found[2], found[3])}{found[4]}", page)


def _rendered(names: str, what: str) -> str:
    summaries = _summaries(names)
    if what == "figures":
        return "".join(f"![{alt}](images/studies/{file})\n" for file, alt in _figures_of(names, summaries))
    if len(summaries) > 1:
        return _table(_of_all({table.title: table for table in report.matrices(summaries)}[what]))
    if what == "facts":
        return "".join(f"- {name}: {value}\n" for name, value in report.facts(summaries[0]))
    tables = {"variants": report.variants_table(summaries[0])}
    for table in report.difference_tables(summaries[0]):
        tables[table.title.replace(": ", " in ")] = table
    return _table(tables[what])


def _of_all(table: report.Table) -> report.Table:
    """Return a table of several ablations without the variants that only some of them have."""
    return dataclasses.replace(table, rows=tuple(row for row in table.rows if all(row)))


def _summaries(names: str) -> list[Summary]:
    return [_summary(name.strip()) for name in names.split(",")]


def _summary(name: str) -> Summary:
    path = KEPT / f"{name}.jsonl"
    if not path.is_file():
        raise KeyError(f"nothing of {name} is kept; `ntm ablate run {name}`, then `keep` it")
    return summarize(load_results(path))


def _table(table: report.Table) -> str:
    notes = "".join(f"- {note}\n" for note in table.notes)
    return f"{markdown_table(table)}\n" + (f"\n{notes}" if notes else "")


def figures() -> dict[str, str]:
    """Return every figure of the pages as SVG, by the name of its file."""
    made: dict[str, str] = {}
    for page in PAGES:
        for mark in _MARK.finditer(page.read_text()):
            if mark[3] == "figures":
                summaries = _summaries(mark[2])
                for file, _ in _figures_of(mark[2], summaries):
                    made[file] = _drawn(file, summaries[0]) if len(summaries) == 1 else _side_by_side(summaries)
    return made


def _figures_of(names: str, summaries: Sequence[Summary]) -> list[tuple[str, str]]:
    """Return the files of a study's figures, each with what it shows: learning, and one for each axis measured.

    Of several studies there is one figure, in which they stand side by side.
    """
    if len(summaries) > 1:
        return [
            (f"{'_'.join(report.labels(summaries))}.svg", f"{_curve(summaries[0])} of each run, by variant and task")
        ]
    [summary], name = summaries, names
    shown = [(f"{name}-learning.svg", f"{_curve(summary)} as training goes on, medians and quartiles over seeds")]
    for metric, axis in _sweeps(summary):
        shown.append((f"{name}-{metric}-{axis}.svg", f"{metric} against {axis}, medians and quartiles over seeds"))
    return shown


def _curve(summary: Summary) -> str:
    return curve_metrics(summary)[0]


def _sweeps(summary: Summary) -> dict[tuple[str, str], list[tuple[float, str]]]:
    """Return, for each metric measured at several values of one axis, these with the measure's name."""
    found: dict[tuple[str, str], list[tuple[float, str]]] = {}
    for measure in summary.results.measures:
        if (setting := _SETTING.fullmatch(measure)) is None:
            continue
        axes = dict(part.split("=") for part in setting[2].split(","))
        for axis, value in axes.items():
            found.setdefault((setting[1], axis), []).append((float(value), measure))
    return {
        sweep: sorted(points)
        for sweep, points in found.items()
        if len({value for value, _ in points}) == len(points) > 1
    }


def _drawn(file: str, summary: Summary) -> str:
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(5.2, 2.8), layout="constrained")
        axis = figure.add_subplot()
        if file.endswith("-learning.svg"):
            _draw_learning(axis, summary)
        else:
            [(sweep, points)] = [
                (sweep, points)
                for sweep, points in _sweeps(summary).items()
                if file.endswith(f"-{'-'.join(sweep)}.svg")
            ]
            _draw_sweep(axis, summary, sweep, points)
        axis.legend(frameon=False)
        return _as_svg(figure)


def _side_by_side(summaries: Sequence[Summary]) -> str:
    """Draw the last value of a metric in each run of the variants that several studies have, with their medians."""
    metric = _curve(summaries[0])
    known = [{one.variant.name: one for one in summary.variants} for summary in summaries]
    variants = [name for name in known[0] if all(name in of for of in known)]
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(7.2, 2.4), layout="constrained")
        panels = figure.subplots(1, len(summaries), sharey=True)
        for panel, title, summary, of in zip(panels, report.labels(summaries), summaries, known, strict=True):
            for place, name in enumerate(variants):
                values = [run.measures[metric] for run in summary.results.of(name) if metric in run.measures]
                panel.plot(values, [place] * len(values), "o", color=_COLORS[0], alpha=0.5, markersize=3)
                median = of[name].measures[metric].quartiles.value
                panel.plot([median], [place], "|", color="black", markersize=9)
            panel.axvline(of[variants[0]].measures[metric].quartiles.value, color="#bbbbbb", linewidth=0.8, zorder=0)
            panel.set(title=title, xlabel=metric, xlim=(0, None))
        panels[0].set_yticks(range(len(variants)), variants)
        panels[0].invert_yaxis()
        return _as_svg(figure)


def _draw_learning(axis: Axes, summary: Summary) -> None:
    metric = _curve(summary)
    for color, variant in zip(_COLORS, summary.variants, strict=False):
        band = learning_band(summary.results.of(variant.variant.name), metric)
        sequences = [point.sequences for point in band]
        axis.plot(sequences, [point.median for point in band], color=color, label=variant.variant.name)
        low, high = [point.low for point in band], [point.high for point in band]
        axis.fill_between(sequences, low, high, color=color, alpha=0.2, linewidth=0)
    axis.set(xlabel="sequences", ylabel=metric, ylim=(0, None))


def _draw_sweep(axis: Axes, summary: Summary, sweep: tuple[str, str], points: Sequence[tuple[float, str]]) -> None:
    metric, name = sweep
    for color, variant in zip(_COLORS, summary.variants, strict=False):
        known = [
            (value, variant.measures[measure].quartiles) for value, measure in points if measure in variant.measures
        ]
        found = [(value, one.value, one.low, one.high) for value, one in known if one.value is not None]
        values, medians = [value for value, *_ in found], [median for _, median, *_ in found]
        below = [0.0 if low is None else median - low for _, median, low, _ in found]
        above = [0.0 if high is None else high - median for _, median, _, high in found]
        label = variant.variant.name
        axis.errorbar(values, medians, yerr=[below, above], color=color, label=label, marker="o", capsize=2)
    axis.set(xlabel=name, ylabel=metric, ylim=(0, None))


def _as_svg(figure: Figure) -> str:
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Do what the command line asks for."""
    match list(arguments):
        case ["keep" | "compare" as what, name, *rest] if len(rest) < 2:
            folder = Path(rest[0]) if rest else ROOT / "runs" / name
            if what == "keep":
                keep(name, folder)
            else:
                print(*compare(name, folder), sep="\n")
        case ["write"]:
            for page in PAGES:
                page.write_text(written(page.read_text()))
            FIGURES.mkdir(parents=True, exist_ok=True)
            for file, text in figures().items():
                (FIGURES / file).write_text(text)
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
