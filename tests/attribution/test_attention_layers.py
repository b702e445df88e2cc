"""The panel of layers against eager attention; every text is read once however many targets there are."""

import numpy as np
import pytest
from eager_oracle import cells, contrasted, first_row, grids, read
from tiny_gemma import sampled

from radiolucent.attribution.attention import attention, attentions
from radiolucent.attribution.attention_layers import attention_layers, many_attention_layers
from radiolucent.attribution.maps import EmptyMap
from radiolucent.errors import MalformedInput
from radiolucent.vlm.types import Target

TARGETS = [Target((0, 1)), Target((2, 5)), Target((2, 5), foil=(300, 301)), Target((3, 4), foil=(302,))]


@pytest.mark.parametrize("images", [1, 2])
@pytest.mark.parametrize("target", TARGETS[:3], ids=str)
def test_the_panel_is_eager_attention_layer_by_layer_and_values_are_its_mean(images, target):
    case = sampled(images)
    model, features, generation = case
    made = attention_layers(model, features, generation, target)

    def panel(answer, start, stop):
        maps = read(case, answer)[0]
        row = first_row(generation)
        rows = [layer[0, :, row + start : row + stop].detach().numpy()[..., cells(generation)] for layer in maps]
        return np.stack(rows).mean(axis=(1, 2))

    first, last = target.tokens
    expected = panel(generation.token_ids, first, last)
    if target.foil:
        answer = contrasted(generation, target)
        expected = expected - panel(answer, first, len(answer))
    assert made.panel.dtype == np.float32 and made.panel.shape == (3, images, 4, 4)
    np.testing.assert_allclose(made.panel.reshape(3, -1), expected, atol=1e-5)
    np.testing.assert_allclose(made.values, made.panel.mean(axis=0), atol=1e-7)
    plain = attention(model, features, generation, target).values
    np.testing.assert_allclose(made.values, plain, atol=1e-7)
    assert plain.shape == grids(expected.mean(0), images).shape and (made.method, made.claim) == (
        "attention_layers",
        "attended",
    )


def test_cells_that_the_window_has_left_are_exactly_zero_in_sliding_layers_only():
    model, features, generation = sampled(2)
    panel = attention_layers(model, features, generation, Target((2, 5))).panel
    nearest = first_row(generation) + 2 - np.array(cells(generation))
    left = nearest >= model.profile.sliding_window
    assert left[:16].all() and 0 < left[16:].sum() < 16  # the first image, and a part of the second
    for layer, kind in zip(panel.reshape(3, -1), model.layer_types, strict=True):
        np.testing.assert_array_equal(layer == 0, left if kind == "sliding" else np.zeros_like(left))


@pytest.mark.parametrize("many", [attentions, many_attention_layers])
def test_several_targets_are_the_single_ones_from_shared_replays(many):
    model, features, generation = sampled(1)
    made = many(model, features, generation, [*TARGETS, Target((2, 4), foil=(300, 301))])
    assert isinstance(made[3], EmptyMap)
    for one, target in zip(made, TARGETS[:3], strict=False):
        (alone,) = many(model, features, generation, [target])
        np.testing.assert_array_equal(one.values, alone.values)
        assert one.forwards == 2  # the answer, and the one text that the foils share


def test_choices_of_heads_and_reduction_are_checked():
    model, features, generation = sampled(1)
    one = attention_layers(model, features, generation, Target((1, 3)), heads=[1]).panel
    both = attention_layers(model, features, generation, Target((1, 3)), reduce="max").panel
    assert (both >= one).all() and (both > one).any()
    for options in ({"heads": [2]}, {"heads": []}, {"reduce": "sum"}):
        with pytest.raises(MalformedInput):
            attention_layers(model, features, generation, Target((1, 3)), **options)
    with pytest.raises(EmptyMap):
        attention_layers(model, features, generation, TARGETS[3])
    with pytest.raises(MalformedInput, match="one of them"):
        attention(model, features, generation, TARGETS[0], corrected=True, without_prior=True)
