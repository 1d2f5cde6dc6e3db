"""The page parses, needs nothing from elsewhere, and shows names and reasons as text whatever is in them."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings

from ntm_toolkit.ablation.report.page import MOST_PANELS, page
from ntm_toolkit.ablation.report.summary import Summary, summarize
from ntm_toolkit.ablation.report.tables import METHODS, difference_tables, facts, variants_table
from ntm_toolkit.ablation.results import load_results
from ntm_toolkit.version import __version__
from tests.ablation.folders import Ablation, ablations, planned, result, solved, summed_up

VOID = {"meta", "link", "br"}
NASTY = "<script>alert(1)</script> & \"quoted\" 'too' $x_1$ \\1 ]]>"


class Reader(HTMLParser):
    """What a browser finds in a page: every element must be closed in its turn.

    Attributes:
        elements: the names of all elements.
        attributes: of all elements, in order.
        text: all of it.
        open: the elements that are not closed.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element."""
        self.elements.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element of SVG without content."""
        self.elements.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        """Close the element opened last."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Take text, but that of style."""
        if "style" not in self.open:
            self.text += data

    def values(self, name: str) -> list[str | None]:
        """All values of an attribute."""
        return [value for key, value in self.attributes if key == name]


def self_contained(text: str) -> Reader:
    """Check that a page needs nothing but itself, and return what is in it."""
    reader = Reader(text)
    assert not {"script", "img", "iframe", "object", "embed", "base", "form"} & set(reader.elements)
    assert not [name for name, _ in reader.attributes if name.startswith("on") or name == "src"]
    identifiers = Counter(reader.values("id"))
    assert set(identifiers.values()) <= {1}
    links = [*reader.values("href"), *reader.values("xlink:href")]
    links += [f"#{name}" for name in re.findall(r"url\(([^)]*)\)", text.replace("url(#", "url("))]
    for link in links:
        assert link is not None
        assert link == "data:," or link.removeprefix("#") in identifiers
    assert "@import" not in text
    # Names of formats are no addresses.
    addresses = set(re.findall(r"https?://[^\s\"'<>]*", text))
    assert addresses <= {"http://www.w3.org/1999/xlink", "http://www.w3.org/2000/svg"}
    for drawing in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        ElementTree.fromstring(drawing)
    return reader


@settings(max_examples=8)
@given(ablations())
def test_any_page_is_self_contained(ablation: Ablation) -> None:
    """And says what the tables say."""
    summary = summed_up(ablation)
    reader = self_contained(page([summary], "ntm ablate report somewhere --html page.html"))
    for table in (variants_table(summary), *difference_tables(summary)):
        for cell in (cell for row in table.rows for cell in row):
            assert "".join(cell.split()) in "".join(reader.text.split())
    for words in (*METHODS, *(value for _, value in facts(summary))):
        assert words in reader.text


@pytest.fixture
def summary() -> Summary:
    """A base and two variants on six seeds, one of which diverges once."""
    ablation = planned(["base", "other", "third"], list(range(6)))
    for seed in range(6):
        solved(ablation, "base", seed, at=500)
        solved(ablation, "other", seed, at=100 * (seed + 1))
        result(ablation, "third", seed)
    result(ablation, "third", 3, status="diverged", reason="not finite at step 3", sequences=20, measures={}, curve=[])
    return summed_up(ablation)


def test_what_made_it_is_stated(summary: Summary) -> None:
    """Seeds, budget, versions, and both commands."""
    text = self_contained(page([summary], "ntm ablate report 'a b' --html c.html")).text
    for words in (
        "6: 0 to 5",
        "1,000 sequences for every run",
        "ntm-toolkit 0.2.0, torch 2.13.0",
        "ntm ablate run made-up.yaml",
        "ntm ablate report 'a b' --html c.html",
        f"Made by ntm-toolkit {__version__}",
        "not finite at step 3",
        "- model.other",
    ):
        assert words in text


def test_every_variant_has_its_panels(summary: Summary) -> None:
    """Of solving and of learning; each measure has all runs and the differences."""
    text = page([summary], "")
    for name in ("base", "other", "third"):
        assert f'aria-label="Fraction of the runs of {name} that solved the task, over sequences"' in text
        assert f'aria-label="bits_per_sequence of {name} over sequences, median and quartiles over seeds"' in text
    for measure in ("bits_per_sequence", "bit_errors[length=120]"):
        assert f'aria-label="{measure} of every run, by variant"' in text
        assert f'aria-label="Mean paired difference of {measure} from the base, by variant"' in text


def test_the_same_runs_give_the_same_page(summary: Summary) -> None:
    """To the byte, so that pages can be compared."""
    assert page([summary], "x") == page([summary], "x")


def test_names_are_text(tmp_path: Path) -> None:
    """Whatever stands in names, diffs, reasons, measures and commands is shown and never obeyed."""
    words = NASTY.replace("/", "|")  # which no folder's name can have
    texts = {"file": NASTY, "base": NASTY, "command": NASTY, "toolkit": NASTY}
    ablation = planned(["base", words], list(range(5)), **texts)
    ablation.plan["variants"][1]["diff"] = [f"- {NASTY}"]
    for seed in range(5):
        measured = {"measures": {words: float(seed)}, "environment": {words: NASTY}}
        curve = [{"sequences": 500, "metrics": {words: 1.0}}, {"sequences": 900, "metrics": {words: 2.0}}]
        result(ablation, "base", seed, **measured, curve=curve)
        result(ablation, words, seed, **measured, curve=curve, status="failed", reason=NASTY)
    folder = ablation.write(tmp_path / "a")
    (folder / words / "seed-4" / "result.json").write_text("{")
    reader = self_contained(page([summarize(load_results(folder))] * 2, NASTY))
    assert reader.text.count(NASTY) >= 8
    assert reader.text.count(words) >= 8


def test_of_many_variants_the_first_have_panels() -> None:
    """And the page says so; the tables have all."""
    names = ["base", *(f"slots={number}" for number in range(MOST_PANELS + 5))]
    ablation = planned(names, [0])
    solved(ablation, "base", 0, at=100, curve=[])
    text = page([summed_up(ablation)], "")
    assert text.count("that solved the task, over sequences") == MOST_PANELS
    assert f"the first {MOST_PANELS} of {len(names)} variants" in text
    assert f"slots={MOST_PANELS + 4}" in Reader(text).text


def test_several_ablations_link_to_each(summary: Summary) -> None:
    """The page begins with variants against ablations."""
    text = page([summary, summary], "")
    assert '<a href="#ablation-1">' in text
    assert '<h2 id="ablation-1">' in text
    assert text.index("All of them beside each other") < text.index('id="ablation-0"')
    assert 'style="--share: 1.000"' in text


def test_an_ablation_that_has_only_begun() -> None:
    """Nothing has ended yet: the page says so, without figures of nothing failing."""
    text = self_contained(page([summed_up(planned(["base", "other"], [0, 1]))], "")).text
    assert "0 of 4, 4 without a result" in text
