from __future__ import annotations

import pytest
from torch import nn

from ntm_toolkit.parts import Tree


def test_parameters_are_named_by_path():
    """A module at a path has its parameters below that path."""
    tree = Tree()
    tree["heads.read.content"] = nn.Linear(1, 1, bias=False)
    assert list(tree.state_dict()) == ["heads.read.content.weight"]


@pytest.mark.parametrize("name", ["add", "forward", "training", "parameters", "_modules", "weight-2"])
def test_any_name_that_a_spec_allows_is_allowed(name: str):
    """Names that are attributes of a module hide nothing and are not hidden."""
    tree, module = Tree(), nn.Linear(1, 1)
    tree[name] = module
    tree[f"below.{name}"] = module
    assert tree[name] is module
    assert tree[f"below.{name}"] is module
    assert tree.training is True
    assert list(tree["below"].state_dict()) == [f"{name}.weight", f"{name}.bias"]


def test_membership_is_by_whole_path():
    """A path is in the tree where a module or a tree stands there."""
    tree = Tree()
    tree["a.b"] = nn.Identity()
    assert "a" in tree
    assert "a.b" in tree
    assert "b" not in tree
    assert "a.b.c" not in tree
    assert "a.c" not in tree
    with pytest.raises(KeyError):
        tree["a.c"]


def test_torch_finds_what_is_called_as_a_stage_may_be():
    """A field such as `add` can be reached by attribute, as `functional_call` does."""
    tree = Tree()
    tree["heads.write.add"] = nn.Linear(1, 1, bias=False)
    assert tree.get_submodule("heads.write.add") is tree["heads.write.add"]
