"""What answers at once must not import torch: specs, the plugin host, and every part's declarations."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SPECS = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for pattern in ("**/specs.py", "**/specs/*.py")
    for path in (ROOT / "ntm_toolkit").glob(pattern)
)
HEAVY = ("torch", "numpy", "matplotlib", "tensorboard")


def heavy_modules_after(statement: str) -> list[str]:
    """Which heavy modules a fresh interpreter has loaded after a statement."""
    code = f"{statement}\nimport sys\nprint(*[name for name in {HEAVY!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return result.stdout.split()


@pytest.mark.parametrize("module", ["ntm_toolkit", "ntm_toolkit.spec", "ntm_toolkit.plugins", *SPECS])
def test_importing_declarations_imports_no_torch(module: str):
    """Each module alone."""
    assert heavy_modules_after(f"import {module}") == []


def test_all_parts_register_without_torch():
    """The registry of the built-in parts, and a machine's spec with all its checks."""
    statement = "\n".join(
        [
            "from ntm_toolkit import plugins",
            "from ntm_toolkit.spec.parts import looking_up",
            "registry = plugins.load(entry_points=False)",
            "assert not registry.broken, registry.broken",
            "from ntm_toolkit.model.specs import NTMSpec",
            "with looking_up(registry):",
            "    NTMSpec.model_validate({'heads': [{'kind': 'read', 'addressing': ['content', 'shift']}]})",
        ]
    )
    assert heavy_modules_after(statement) == []


def test_the_specs_of_all_rooms_are_found():
    """The list above is not empty by mistake."""
    assert {"ntm_toolkit.addressing.specs", "ntm_toolkit.heads.specs", "ntm_toolkit.model.specs"} <= set(SPECS)
