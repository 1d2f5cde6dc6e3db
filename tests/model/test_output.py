from __future__ import annotations

import torch

from ntm_toolkit.model.output import Output
from ntm_toolkit.model.specs import OutputSpec
from ntm_toolkit.parts import seeding
from ntm_toolkit.spec.declarations import Dims
from tests.examples import drawn

DIMS = Dims(inputs=3, outputs=2, slots=6, width=4, hidden=5, reads={"a": 4, "b": 8})


def built(**fields: object) -> Output:
    with seeding(0):
        return Output(OutputSpec(**fields), DIMS).double()


def test_the_output_is_a_sum_over_what_it_sees():
    """The controller's output and every group's reads, each with weights of its own, and a bias."""
    output, features = built(bias_scale=1.0), (drawn(3, 2, 5), drawn(3, 2, 4, seed=1), drawn(3, 2, 8, seed=2))
    expected = output.bias.expand(3, 2, 2)
    for path, feature in zip(("controller", "reads.a", "reads.b"), features, strict=True):
        expected = expected + feature @ output.state_dict()[f"weights.{path}.weight"].mT
    torch.testing.assert_close(output(features), expected)


def test_an_output_that_does_not_see_the_reads_has_no_weights_for_them():
    """Its other parameters start as those of one that does."""
    blind = built(sees="controller").state_dict()
    assert set(blind) == {"bias", "weights.controller.weight"}
    for name, value in blind.items():
        assert torch.equal(value, built().state_dict()[name])


def test_a_clamp_cuts_outputs():
    """Both ends."""
    outputs = built(sees="controller", clamp=0.1)((10 * drawn(3, 2, 5),))
    assert float(outputs.detach().abs().max()) == 0.1
