"""Torch functions that are traced in another form than torch's own, of the same meaning.

Torch's own form has operations that nothing is known about, grows with what it is applied to, or looks at values. A
function that cannot be put so, as asked, is called as it is. A new one is added in one of these files, with its test
against eager.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ntm_toolkit.runtime.fused.replaced import attention, choosing, scans, windows

REPLACED: Mapping[Any, Callable[..., Any]] = {
    **scans.TABLE,
    **windows.TABLE,
    **choosing.TABLE,
    **attention.TABLE,
}
"""What is called in place of a torch function while a step is traced."""

__all__ = ["REPLACED"]
