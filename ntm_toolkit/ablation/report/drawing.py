"""How a report's figures are drawn: matplotlib's axes in fixed sizes, and SVG that takes the colours of its page."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from typing import Any

import matplotlib
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK = "#010203"
"""Stands for the colour of the text around a figure, which `svg` puts in its place."""

LONGEST_NAME = 34
"""Letters of a name beside a row; the table has the whole of it."""

_SETTINGS: Any = {  # matplotlib types its keys, older releases other than newer ones
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.labelsize": 8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.linewidth": 0.6,
    "font.size": 8,
    "lines.linewidth": 1.4,
    "svg.fonttype": "none",
    "svg.hashsalt": "ntm",  # or identifiers would be others each time
    "text.color": INK,
    "text.parse_math": False,  # a name is a name, also with dollar signs in it
    "xtick.color": INK,
    "xtick.labelsize": 7,
    "ytick.color": INK,
    "ytick.labelsize": 7,
}


@contextmanager
def panel() -> Iterator[tuple[Figure, Axes]]:
    """Give a small figure whose horizontal axis is the sequences trained on."""
    # Room for labels is fixed: to measure text takes longer than to draw.
    with matplotlib.rc_context(_SETTINGS):
        figure = Figure(figsize=(2.6, 1.75))
        axis = figure.add_axes((0.15, 0.22, 0.81, 0.72))
        axis.set_xlabel("sequences", labelpad=1)
        axis.xaxis.set_major_locator(ticker.MaxNLocator(4, integer=True))
        axis.xaxis.set_major_formatter(ticker.FuncFormatter(_thousands))
        yield figure, axis


@contextmanager
def rows(names: Sequence[str]) -> Iterator[tuple[Figure, Axes]]:
    """Give a figure with a row for each name, the first at the top, and room at the right for a word."""
    shown = [name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…" for name in names]
    left = 0.25 + 0.062 * max(map(len, shown), default=0)
    height = 0.55 + 0.19 * max(len(names), 2)
    with matplotlib.rc_context(_SETTINGS):
        width = left + 2.9
        figure = Figure(figsize=(width, height))
        axis = figure.add_axes((left / width, 0.42 / height, 2.3 / width, 1 - 0.5 / height))
        axis.set_yticks(range(len(names)), shown)
        axis.set_ylim(len(names) - 0.5, -0.5)
        axis.tick_params(axis="y", length=0)
        axis.grid(axis="y", color=INK, alpha=0.12, linewidth=0.5)
        yield figure, axis


def svg(figure: Figure, label: str) -> str:
    """Return a figure as SVG to stand in a page: as wide as there is room, in the colour and font around it.

    Args:
        figure: drawn in the colour INK, and others that show on light and on dark ground.
        label: what it shows, for those who do not see it.
    """
    stream = io.StringIO()
    # No date and no address: the same runs give the same page.
    figure.savefig(
        stream, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
    )
    text = stream.getvalue()
    text = _NOT_OF_A_PAGE.sub("", text[text.index("<svg") :])
    text = _FONT.sub("", text).replace(INK, "currentColor").replace("\n", " ")
    widest = 1.25 * 96 * figure.get_figwidth()
    text = _SIZE.sub(
        rf'\1 role="img" aria-label="{escape(label).replace(chr(92), chr(92) * 2)}" '
        rf'style="max-width:{widest:.0f}px;stroke-linejoin:round" ',
        text,
        count=1,
    )
    referred = {name for pair in _REFERENCE.findall(text) for name in pair if name}
    return _ID.sub(lambda found: found[0] if found[1] in referred else "", text).rstrip()


def numbered(page: str) -> str:
    """Return a page in which the identifiers of each figure are its own, for a page has each only once."""
    count = itertools.count(1)
    return _FIGURE.sub(lambda figure: _with_prefix(figure[0], f"figure-{next(count)}-"), page)


def _with_prefix(text: str, prefix: str) -> str:
    text = _ID.sub(lambda found: f' id="{prefix}{found[1]}"', text)
    return _REFERENCE.sub(
        lambda found: f"url(#{prefix}{found[1]})" if found[1] else f'href="#{prefix}{found[2]}"', text
    )


_FIGURE = re.compile(r"<svg.*?</svg>", re.DOTALL)
# The style would hold for the whole page.
_NOT_OF_A_PAGE = re.compile(r"<metadata>.*?</metadata>|<defs>\s*<style.*?</style>\s*</defs>", re.DOTALL)
_SIZE = re.compile(r'(<svg [^>]*?)width="[\d.]+pt" height="[\d.]+pt" ')
_FONT = re.compile(r" font-family: [^;\"]*;?")
_ID = re.compile(r'\sid="([^"]*)"')
_REFERENCE = re.compile(r'url\(#([^)]*)\)|href="#([^"]*)"')


def _thousands(value: float, _: int) -> str:
    return f"{value / 1000:g}k" if abs(value) >= 1000 else f"{value:g}"
