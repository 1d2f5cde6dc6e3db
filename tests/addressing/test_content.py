from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from ntm_toolkit.addressing.specs import ContentSpec
from tests.examples import dims_of, drawn, fields_of, view, weighting
from tests.reference.ntm import cosine, focused_by_content
from tests.strategies import contents


def focused(spec: ContentSpec, rows: torch.Tensor, fields: dict[str, torch.Tensor], seed: int = 0) -> torch.Tensor:
    batch, slots, heads = rows.shape[0], rows.shape[1], fields["key"].shape[1]
    w, previous = weighting(batch, heads, slots, seed=seed), weighting(batch, heads, slots, seed=seed + 1)
    stage = spec.build(dims_of(rows, heads))
    result: torch.Tensor = stage(w, fields, view(rows, previous))
    return result


@given(contents, st.integers(1, 2), st.integers(1, 3), st.integers(1, 6), st.integers(1, 5), st.integers(0, 99))
def test_content_is_the_papers_equation(spec: ContentSpec, batch: int, heads: int, slots: int, width: int, seed: int):
    """softmax over the slots of beta K[k, M(i)], for every place of the epsilon."""
    rows = drawn(batch, slots, width, seed=seed)
    fields = fields_of(spec, dims_of(rows, heads), batch, seed=seed + 1)
    result = focused(spec, rows, fields)
    for sequence in range(batch):
        for head in range(heads):
            key, strength = fields["key"][sequence, head], fields["strength"][sequence, head, 0]
            similarities = [
                cosine(key, row, spec.similarity.epsilon, spec.similarity.epsilon_in) for row in rows[sequence]
            ]  # type: ignore[attr-defined]
            expected = torch.stack(focused_by_content(strength, similarities))
            torch.testing.assert_close(result[sequence, head], expected)


@given(contents, st.permutations(range(5)), st.integers(0, 99))
def test_content_follows_a_permutation_of_the_slots(spec: ContentSpec, order: list[int], seed: int):
    """Slots that change places take their weights with them."""
    rows = drawn(2, 5, 3, seed=seed)
    fields = fields_of(spec, dims_of(rows, 2), 2, seed=seed)
    torch.testing.assert_close(focused(spec, rows[:, order], fields), focused(spec, rows, fields)[..., order])


def test_the_incoming_weighting_is_not_used():
    """Content decides alone."""
    rows = drawn(1, 5, 3)
    fields = fields_of(ContentSpec(), dims_of(rows, 1), 1)
    assert torch.equal(focused(ContentSpec(), rows, fields), focused(ContentSpec(), rows, fields, seed=9))


def test_a_strong_key_finds_its_slot():
    """With a large strength, the weight is on the slot that the key is most like."""
    rows = drawn(1, 5, 3)
    fields = {"key": 2 * rows[:, 3:4], "strength": torch.full((1, 1, 1), 200.0, dtype=torch.float64)}
    assert focused(ContentSpec(), rows, fields)[0, 0, 3] > 0.99


def test_no_strength_spreads_evenly():
    """beta = 0 gives every slot the same weight."""
    rows = drawn(1, 5, 3)
    fields = {"key": drawn(1, 1, 3), "strength": torch.zeros(1, 1, 1, dtype=torch.float64)}
    torch.testing.assert_close(focused(ContentSpec(), rows, fields), torch.full((1, 1, 5), 0.2, dtype=torch.float64))
