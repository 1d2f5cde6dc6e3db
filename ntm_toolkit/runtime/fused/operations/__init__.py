"""How each of core ATen's operations is lowered. A new one is added in one of these files, with its test against eager.

A rule is given the lowering and the operation's arguments: values (`Stored`, `Lazy`, `Outer`, `Windows`), constant
tensors and plain Python objects; it returns a value, a constant tensor, or a list of them.
"""

from __future__ import annotations

from ntm_toolkit.runtime.fused.lowering import Table
from ntm_toolkit.runtime.fused.operations import assembling, elementwise, indexing, ordering, reducing, viewing

LOWERINGS = Table()
for _module in (elementwise, viewing, assembling, reducing, ordering, indexing):
    LOWERINGS.update(_module.TABLE)

__all__ = ["LOWERINGS"]
