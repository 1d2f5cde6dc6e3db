"""A container of modules by path, so that parameters are named as the spec's paths are."""

from __future__ import annotations

from typing import Any

from torch import nn


class Tree(nn.Module):
    """Modules by dotted path; unlike `nn.ModuleDict`, any name that a spec allows is allowed here.

    It has no public method of its own, for a field or a stage may be called as that method is, and what torch looks up
    by attribute (`get_submodule`, `functional_call`) would then find the method.
    """

    def __setitem__(self, path: str, module: nn.Module) -> None:
        """Put a module at a path, making the trees on the way."""
        *parents, name = path.split(".")
        tree = self
        for parent in parents:
            below = tree._modules.setdefault(parent, Tree())
            assert isinstance(below, Tree), f"{parent} in {path} holds a module already"
            tree = below
        tree._modules[name] = module

    def __getitem__(self, path: str) -> Any:
        """Return the module at a path, of whatever class was put there.

        Raises:
            KeyError: there is none.
        """
        module: Any = self
        for name in path.split("."):
            module = module._modules[name]
        return module

    def __contains__(self, path: str) -> bool:
        module: nn.Module | None = self
        for name in path.split("."):
            module = None if module is None else module._modules.get(name)
        return module is not None
