"""What timings depend on beside what is timed: processor, cores, compiler and releases, for the record."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from ntm_toolkit.runtime.fused.build import BuildError, compiler


def machine() -> dict[str, Any]:
    """Return a description of this machine and its software, as plain data."""
    return {
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count(),
        "instruction_set": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "compiler": _compiler(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "jax": _release("jax"),
    }


def _processor() -> str:
    try:
        names = re.findall(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        names = []
    return names[0].strip() if names else platform.processor() or platform.machine()


def _compiler() -> str | None:
    """Return the first line of what the C++ compiler says of itself."""
    try:
        done = subprocess.run([compiler(), "--version"], capture_output=True, text=True, timeout=60, check=True)
    except (BuildError, OSError, subprocess.SubprocessError):
        return None
    return done.stdout.partition("\n")[0].strip() or None


def _release(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
