"""Parameters below the paths of `training.freeze` keep their initial values."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ntm_toolkit import plugins
from ntm_toolkit.building import build, frozen_parameters
from ntm_toolkit.experiments import load_spec
from ntm_toolkit.plugins import Registry
from ntm_toolkit.spec.errors import SpecError, ToolkitError
from ntm_toolkit.training.trainer import Trainer

SMALL = ["model.memory={slots: 5, width: 3, start: learned}", "model.controller.size=4", "runtime=eager"]


@pytest.fixture(scope="module")
def registry() -> Registry:
    """The built-in parts."""
    return plugins.load(entry_points=False)


def frozen(registry: Registry, *paths: str) -> set[str]:
    spec = load_spec("copy", [*SMALL, f"training.freeze=[{', '.join(paths)}]"], registry=registry)
    model = build(spec)
    names = set(frozen_parameters(model, spec))
    assert names == {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    return names


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("model.heads.*.addressing.sharpen", r"interface\.fields\.heads\.(read|write)\.addressing\.sharpen\..*"),
        ("model.heads.0.addressing.2", r"interface\.fields\.heads\.read\.addressing\.shift\..*"),
        ("model.heads.write.add", r"interface\.fields\.heads\.write\.add\..*"),
        ("model.heads.write", r"interface\.fields\.heads\.write\..*"),
        ("model.controller", r"controller\..*"),
        ("model.memory.start", r"memory\.start\.value"),
        ("model.output.bias", r"output\.bias"),
        (
            "model.heads.*.addressing.content.key.weight",
            r"interface\.fields\.heads\.\w+\.addressing\.content\.key\.weight",
        ),
        ("model", r".*"),
    ],
)
def test_a_path_stands_for_all_parameters_below_it(registry: Registry, path: str, pattern: str) -> None:
    """Of parts, of the fields that they ask for, and parameters themselves."""
    spec = load_spec("copy", SMALL, registry=registry)
    names = {name for name, _ in build(spec).named_parameters()}
    assert frozen(registry, path) == {name for name in names if re.fullmatch(pattern, name)}
    assert frozen(registry, path)


def test_nothing_is_frozen_unless_it_is_said(registry: Registry) -> None:
    """By default everything is trained."""
    assert frozen(registry) == set()


def test_what_is_frozen_does_not_move(registry: Registry) -> None:
    """Everything else does."""
    spec = load_spec("copy", [*SMALL, "training.freeze=[model.controller, model.heads.read]"], registry=registry)
    trainer = Trainer(spec, build(spec))
    before = {name: value.detach().clone() for name, value in trainer.model.named_parameters()}
    for _ in range(4):
        assert trainer.update()
    kept = {name for name, value in trainer.model.named_parameters() if (value == before[name]).all()}
    assert kept == set(frozen_parameters(trainer.model, spec))


def test_a_path_that_freezes_nothing_is_an_error(registry: Registry) -> None:
    """Whether there is no such part, or it has no parameters."""
    for path in ("model.heads.read.addressing.shfit", "model.heads.read.initial_weighting"):
        with pytest.raises(ToolkitError, match=rf"training\.freeze: {path} has no parameters"):
            frozen(registry, path)


@pytest.mark.parametrize(("path", "said"), [("training", "begins with model"), ("model..x", "empty part")])
def test_a_path_that_leads_out_of_the_model_is_a_located_error(registry: Registry, path: str, said: str) -> None:
    """In its file, before anything is built."""
    with pytest.raises(SpecError, match=rf"training\.freeze\.0: .*{said}"):
        load_spec("copy", [f"training.freeze=[{path}]"], registry=registry)


def test_a_frozen_run_goes_on_as_one_never_stopped(registry: Registry, tmp_path: Path) -> None:
    """The optimiser's state is that of the parameters that are trained."""
    from ntm_toolkit.training.loop import train

    changes = [*SMALL, "training.freeze=[model.controller]", "training.stop=[]", "training.checkpoint_every=2"]
    short, long = (load_spec("copy", [*changes, f"training.sequences={n}"], registry=registry) for n in (2, 4))
    train(short, tmp_path / "run", registry=registry)
    train(long, tmp_path / "run", registry=registry, resume=True)
    train(long, tmp_path / "other", registry=registry)
    weights = [next((tmp_path / run / "checkpoints").glob("*4/weights.safetensors")) for run in ("run", "other")]
    assert weights[0].read_bytes() == weights[1].read_bytes()
