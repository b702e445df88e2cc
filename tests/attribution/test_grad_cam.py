"""Grad-CAM at a middle layer: which layers it refuses, and what stands on the grid."""

import numpy as np
import pytest
import torch
from analytic import CELLS, GRID, HIDDEN, AnalyticModel
from tiny_gemma import sampled

from radiolucent.attribution.grad_cam import ZeroGradient, grad_cam, grad_cams
from radiolucent.attribution.gradients import target_gradients, through_vision
from radiolucent.attribution.maps import EmptyMap
from radiolucent.attribution.targets import soft_rows
from radiolucent.vlm.types import Target

TARGET = Target((2, 5), foil=(300, 301))


@pytest.fixture(params=[1, 2], ids=["one image", "two images"])
def case(request):
    return sampled(request.param)


@pytest.mark.parametrize("layer", [-1, 2])
@pytest.mark.parametrize("weights", ["mean", "local"])
def test_the_last_language_layer_is_refused_for_its_gradient_is_exactly_zero(case, layer, weights):
    model, features, generation = case
    found = target_gradients(model, generation, soft_rows(features), [TARGET], layer=layer)
    assert not found.values.any() and found.states.abs().max() > 0
    with pytest.raises(ZeroGradient, match=r"read by nothing.*earlier layer, or tower='vision'") as raised:
        grad_cam(model, features, generation, TARGET, layer=layer, tower="language", weights=weights)
    assert isinstance(raised.value, EmptyMap)


def test_every_other_layer_of_both_towers_reaches_the_words(case):
    model, features, generation = case
    for tower, layer in [("language", 0), ("language", 1), ("vision", 0), ("vision", 1), ("vision", -1)]:
        made = grad_cam(model, features, generation, TARGET, layer=layer, tower=tower, relu=False)
        assert np.abs(made.values).max() > 0


def test_a_patchs_own_gradient_at_the_last_vision_layer_is_perpendicular_to_it_and_the_round_off_is_no_map(case):
    """The next step normalises each patch on its own; so does the last language layer with what it is sent."""
    model, features, generation = case
    rows = soft_rows(features)
    gradients = target_gradients(model, generation, rows, [TARGET]).values[:, 0]
    for states, carried in through_vision(model, features, gradients, layer=-1):
        products = (states * carried[0]).sum(dim=-1)
        assert carried.any() and products.abs().max() < 1e-6 * (states * carried[0]).abs().sum(dim=-1).max()
    for tower, layer in (("vision", -1), ("language", -2)):
        with pytest.raises(EmptyMap, match="round-off"):
            grad_cam(model, features, generation, Target((2, 5)), tower=tower, layer=layer, weights="local", relu=False)


def test_the_middle_layer_is_never_the_last_where_there_is_another():
    model, features, generation = sampled(1)
    middle = grad_cam(model, features, generation, TARGET)
    np.testing.assert_array_equal(middle.values, grad_cam(model, features, generation, TARGET, layer=0).values)
    language = grad_cam(model, features, generation, TARGET, tower="language")
    np.testing.assert_array_equal(
        language.values, grad_cam(model, features, generation, TARGET, tower="language", layer=1).values
    )


def test_negative_values_are_cut_only_where_that_is_asked(case):
    model, features, generation = case
    signed = grad_cam(model, features, generation, TARGET, tower="language", relu=False).values
    cut = grad_cam(model, features, generation, TARGET, tower="language").values
    assert signed.min() < 0
    np.testing.assert_array_equal(cut, np.clip(signed, 0, None))


def test_each_image_has_channel_weights_of_its_own():
    """Closed form: one linear layer, so the gradient at a patch is the projection times the cell's weight."""
    model = AnalyticModel(2)
    features, generation = model.features(), model.generation()
    target = Target((1, 3), foil=(7,))
    made = grad_cam(model, features, generation, target, relu=False)
    weight = model.weight(target, generation).reshape(2, CELLS, HIDDEN)
    identity = torch.eye(model.projection.shape[0], dtype=torch.float64)
    patches = [[] for _ in range(2)]
    for image in range(2):
        tapped = []
        handle = model.vision_layer.register_forward_hook(lambda *given, into=tapped: into.append(given[2]))
        model._tokens(features.pixels[image : image + 1])
        handle.remove()
        patches[image] = tapped[0][0]
    for image in range(2):
        channels = (weight[image] @ (identity @ model.projection).T).mean(dim=0)
        expected = (patches[image] @ channels).reshape(GRID, GRID)
        np.testing.assert_allclose(made.values[image], expected, rtol=1e-5, atol=1e-6)


def test_targets_share_one_pass_and_one_encode_and_a_refusal_stands_in_its_place():
    model = AnalyticModel(2)
    features, generation = model.features(), model.generation()
    model.weights[int(generation.token_ids[3]), 3] = 0
    none, some = grad_cams(model, features, generation, [Target((3, 4)), Target((1, 3))])
    assert isinstance(none, ZeroGradient) and "do not depend" in str(none)
    assert (model.sequences, model.encoded) == (1, 2) and some.backwards == 2


def test_the_hooks_are_gone_afterwards():
    model, features, generation = sampled(1)
    grad_cam(model, features, generation, TARGET)
    before = [dict(part._forward_hooks) for part in model.module.modules()]  # transformers keeps some of its own
    grad_cam(model, features, generation, TARGET)
    with pytest.raises(ZeroGradient):
        grad_cam(model, features, generation, TARGET, tower="language", layer=-1)
    assert [dict(part._forward_hooks) for part in model.module.modules()] == before
    assert not any(part.training for part in model.module.modules())
