"""What a spec requires is checked against what is installed, and loads nothing."""

from __future__ import annotations

import pytest

from ntm_toolkit.plugins import check_requires
from ntm_toolkit.version import __version__
from tests.plugins.workshop import Workshop, stages


@pytest.fixture(autouse=True)
def _installed(workshop: Workshop) -> None:
    workshop.distribution("ntm-dnc", stages("usage"), version="0.3rc1")


@pytest.mark.parametrize(
    "requirement",
    [
        "ntm-dnc",
        "NTM_DNC >= 0.1, < 1",
        f"ntm-toolkit=={__version__}",
        "ntm-no-such; python_version < '3'",
        "pydantic>=2",
    ],
)
def test_what_is_installed_is_met(workshop: Workshop, requirement: str) -> None:
    """Pre-releases count, markers are honoured, and any distribution can be required."""
    assert check_requires([requirement], workshop.load()) == []


@pytest.mark.parametrize(
    ("requirement", "message"),
    [
        ("ntm-lru>=0.1", "ntm-lru>=0.1 is required, and ntm-lru is not installed; pip install 'ntm-lru>=0.1'"),
        ("ntm-dnc>=1", "ntm-dnc>=1 is required, and ntm-dnc 0.3rc1 is installed; pip install 'ntm-dnc>=1'"),
        ("ntm-dnc=>1", "'ntm-dnc=>1' is no requirement; write a distribution and its versions, as in 'ntm-dnc>=0.1'"),
        ("", "'' is no requirement; write a distribution and its versions, as in 'ntm-dnc>=0.1'"),
        (
            "ntm-dnc @ https://example.org/x.whl",
            "'ntm-dnc @ https://example.org/x.whl' names a URL; write a distribution and its versions, as in "
            "'ntm-dnc>=0.1'",
        ),
    ],
)
def test_what_is_not_met_says_why(workshop: Workshop, requirement: str, message: str) -> None:
    """And what would meet it."""
    assert check_requires([requirement, "ntm-dnc"], workshop.load()) == [message]


def test_a_disabled_or_broken_plugin_does_not_meet_it(workshop: Workshop) -> None:
    """Its distribution is installed, but its parts cannot be used."""
    assert check_requires(["ntm-dnc"], workshop.load(disabled=["ntm-dnc"])) == [
        "ntm-dnc is required, and the plugin ntm-dnc 0.3rc1 (main) is disabled by --disable-plugin"
    ]
    workshop.distribution("ntm-dnc", "raise ValueError('no')", version="0.3rc1", entry="other")
    (message,) = check_requires(["ntm-dnc"], workshop.load())
    assert message.startswith("ntm-dnc is required, and the plugin ntm-dnc 0.3rc1 (other) is broken: ValueError: no")
