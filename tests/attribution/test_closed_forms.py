"""Every method against the closed form that it has on a model that is linear in its soft tokens."""

import numpy as np
import pytest
import torch
from analytic import CELLS, GRID, HIDDEN, PATCH, SIZE, AnalyticModel

from radiolucent.attribution.attention import attention, chosen_layers
from radiolucent.attribution.attention_layers import attention_layers
from radiolucent.attribution.fills import filling, soft_fill
from radiolucent.attribution.input_x_gradient import input_x_gradient
from radiolucent.attribution.integrated_gradients import integrated_gradients
from radiolucent.attribution.maps import EmptyMap
from radiolucent.attribution.occlusion import occlusion
from radiolucent.attribution.pixel_gradient import pixel_gradient
from radiolucent.attribution.saliency import saliency
from radiolucent.attribution.token_ablation import cell_groups, token_ablation, token_ablations
from radiolucent.errors import MalformedInput, RadiolucentError
from radiolucent.vlm.types import Target

TARGETS = [Target((1, 3)), Target((0, 1)), Target((1, 3), foil=(7,)), Target((2, 3), foil=(8, 9))]
FOILS = {target: 1 + (target.foil is not None) for target in TARGETS}


def case(images, target, curvature=0.0):
    model = AnalyticModel(images, curvature)
    features, generation = model.features(), model.generation()
    return model, features, generation, model.weight(target, generation).numpy()


def tokens(features):
    return features.soft_tokens.reshape(-1, HIDDEN).numpy()


def mean_fill(features):
    return features.soft_tokens.mean(dim=1, keepdim=True).expand_as(features.soft_tokens).reshape(-1, HIDDEN).numpy()


@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.parametrize("target", TARGETS)
class TestLinear:
    def test_token_ablation_is_the_weight_of_what_is_taken_away(self, images, target):
        model, features, generation, weight = case(images, target)
        result = token_ablation(model, features, generation, target, batch=5)
        expected = (weight * (tokens(features) - mean_fill(features))).sum(axis=1).reshape(images, GRID, GRID)
        np.testing.assert_allclose(result.values, expected, rtol=1e-4, atol=1e-5)
        assert result.claim == "relied_on" and result.units == "nats"
        assert result.forwards == model.sequences == (images * CELLS + 1) * FOILS[target]

    def test_a_group_loses_the_sum_of_its_cells(self, images, target):
        model, features, generation, weight = case(images, target)
        result = token_ablation(model, features, generation, target, group=2)
        cells = (weight * (tokens(features) - mean_fill(features))).sum(axis=1).reshape(images, 2, 2, 2, 2)
        sums = cells.sum(axis=(2, 4))
        expected = np.repeat(np.repeat(sums, 2, axis=1), 2, axis=2)
        np.testing.assert_allclose(result.values, expected, rtol=1e-4, atol=1e-5)
        assert result.forwards == model.sequences == (images * 4 + 1) * FOILS[target]

    def test_saliency_is_the_length_of_the_weight(self, images, target):
        model, features, generation, weight = case(images, target)
        result = saliency(model, features, generation, target)
        expected = np.linalg.norm(weight, axis=1).reshape(images, GRID, GRID)
        np.testing.assert_allclose(result.values, expected, rtol=1e-5)
        assert (result.forwards, result.backwards) == (model.sequences, FOILS[target])

    def test_first_order_methods_equal_ablation_where_the_model_is_linear(self, images, target):
        model, features, generation, _ = case(images, target)
        ablated = token_ablation(model, features, generation, target).values
        first = input_x_gradient(model, features, generation, target, baseline="mean").values
        integrated = integrated_gradients(model, features, generation, target, steps=3).values
        np.testing.assert_allclose(first, ablated, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(integrated, ablated, rtol=1e-4, atol=1e-5)

    def test_pixel_gradient_is_the_weight_carried_through_the_encoder(self, images, target):
        model, features, generation, weight = case(images, target)
        result = pixel_gradient(model, features, generation, target)
        patch = SIZE // GRID
        by_patch = (weight @ model.projection.numpy().T).reshape(images, GRID, GRID, 3, patch, patch).sum(axis=3)
        expected = by_patch.transpose(0, 1, 3, 2, 4).reshape(images, SIZE, SIZE)
        np.testing.assert_allclose(result.values, expected, rtol=1e-4, atol=1e-5)
        magnitude = pixel_gradient(model, features, generation, target, absolute=True)
        np.testing.assert_allclose(magnitude.values, abs(result.values))
        assert model.sequences == 2 * result.forwards and result.backwards == FOILS[target]

    def test_occlusion_of_whole_cells_is_the_weight_of_the_changed_tokens(self, images, target):
        model, features, generation, weight = case(images, target)
        result = occlusion(model, features, generation, target, patch=4, stride=4, fill="blank", batch=3)
        blank = torch.zeros_like(features.pixels)
        changed = tokens(features) - model._tokens(blank).reshape(-1, HIDDEN).numpy()
        np.testing.assert_allclose(
            result.values, (weight * changed).sum(axis=1).reshape(images, GRID, GRID), rtol=1e-4, atol=1e-5
        )
        assert result.forwards == model.sequences == (images * CELLS + 1) * FOILS[target]
        assert model.encoded == images * CELLS  # the other pictures are never encoded again


def test_integrated_gradients_add_to_the_change_where_the_model_is_curved():
    target = TARGETS[0]
    model, features, generation, _ = case(2, target, curvature=0.3)
    result = integrated_gradients(model, features, generation, target, steps=2, batch=1)
    rows = features.soft_tokens.reshape(1, -1)
    start = soft_fill(model, features, "mean").reshape(1, -1)

    def score(x):
        return float(model.token_logprobs(None, generation.token_ids, x)[0, 1:3].sum())

    # a quadratic's gradient is linear: two Gauss-Legendre points integrate it exactly
    assert result.values.sum() == pytest.approx(score(rows) - score(start), rel=1e-5)
    assert (result.forwards, result.backwards) == (4, 2)  # the path's two ends are scored too, without a gradient


def test_gradients_equal_finite_differences_where_the_model_is_curved():
    target = Target((1, 3), foil=(7, 8))
    model, features, generation, _ = case(1, target, curvature=0.3)
    result = input_x_gradient(model, features, generation, target)
    rows = features.soft_tokens.reshape(1, CELLS, HIDDEN)
    contrasted = np.array([1, 7, 8])

    def score(x):
        span = model.token_logprobs(None, generation.token_ids, x)[0, 1:3].sum()
        return float(span - model.token_logprobs(None, contrasted, x)[0, 1:3].sum())

    for cell in (0, 5, 15):
        step = torch.zeros_like(rows)
        step[0, cell] = 1e-6 * rows[0, cell]
        slope = (score(rows + step) - score(rows - step)) / 2e-6
        assert result.values.reshape(-1)[cell] == pytest.approx(slope, rel=1e-4)


def test_several_targets_share_their_passes():
    model, features, generation, _ = case(2, TARGETS[0])
    targets = [Target((0, 1)), Target((1, 3)), Target((4, 6))]
    together = token_ablations(model, features, generation, targets)
    assert model.sequences == 2 * CELLS + 1
    for target, result in zip(targets, together, strict=True):
        np.testing.assert_array_equal(result.values, token_ablation(model, features, generation, target).values)


@pytest.mark.parametrize("fill", ["mean", "blur", "blank"])
def test_occlusion_spreads_each_windows_loss_evenly_over_the_windows_that_cover_a_pixel(fill):
    """Oracle: an independent loop over pixels."""
    target = TARGETS[0]
    model, features, generation, _ = case(1, target)
    patch, stride = 6, 5
    result = occlusion(model, features, generation, target, patch=patch, stride=stride, fill=fill, per_pixel=True)
    stands = filling(model, features, fill, "pixels", blur=patch / 2 / PATCH)(0, np.zeros((1, 1), dtype=bool))
    base = model.token_logprobs(None, generation.token_ids, features.soft_tokens.reshape(1, -1))[0, 1:3].sum()
    losses = {}
    for top in (0, 5, 10):
        for left in (0, 5, 10):
            hidden = features.pixels.clone()
            hidden[0, :, top : top + patch, left : left + patch] = stands[:, top : top + patch, left : left + patch]
            after = model.token_logprobs(None, generation.token_ids, model._tokens(hidden).reshape(1, -1))[0, 1:3].sum()
            losses[top, left] = float(base - after)
    for row in range(SIZE):
        for column in range(SIZE):
            covering = [
                loss for (top, left), loss in losses.items() if 0 <= row - top < patch and 0 <= column - left < patch
            ]
            assert result.values[0, row, column] == pytest.approx(np.mean(covering), rel=1e-4, abs=1e-6)


class TestAttention:
    def rows(self, model, generation, features):
        return model.replay(generation, features, capture=True).rows

    def test_it_is_the_mean_of_the_predicting_rows(self):
        model, features, generation, _ = case(2, TARGETS[0])
        result = attention(model, features, generation, Target((1, 3)))
        expected = self.rows(model, generation, features).image[:, :, 1:3].mean(axis=(0, 1, 2))
        np.testing.assert_allclose(result.values.reshape(-1), expected, rtol=1e-5)
        assert (result.claim, result.forwards) == ("attended", 1)

    def test_rows_kept_while_generating_cost_nothing(self):
        model, features, generation, _ = case(1, TARGETS[0])
        kept = model.generation(rows=self.rows(model, generation, features))
        model.sequences = 0
        result = attention(model, features, kept, Target((1, 3)))
        assert (result.forwards, model.sequences) == (0, 0)

    def test_layers_and_heads_are_chosen(self):
        model, features, generation, _ = case(1, TARGETS[0])
        image = self.rows(model, generation, features).image[:, :, 1:3].mean(axis=2)
        target = Target((1, 3))
        for layers, index in [("final", [2]), ("global", [1]), ("sliding", [0, 2]), (-2, [1]), ([0, 1], [0, 1])]:
            result = attention(model, features, generation, target, layers=layers, heads=[1], reduce="max")
            np.testing.assert_allclose(result.values.reshape(-1), image[index][:, 1].max(axis=0), rtol=1e-5)

    def test_the_panel_holds_every_layer(self):
        model, features, generation, _ = case(2, TARGETS[0])
        target = Target((1, 3))
        made = attention_layers(model, features, generation, target)
        expected = self.rows(model, generation, features).image[:, :, 1:3].mean(axis=(1, 2))
        np.testing.assert_allclose(made.panel.reshape(3, -1), expected, rtol=1e-5)
        np.testing.assert_allclose(made.values, attention(model, features, generation, target).values, rtol=1e-5)

    def test_a_foil_is_subtracted_and_its_rows_are_replayed(self):
        model, features, generation, _ = case(1, TARGETS[0])
        target = Target((1, 3), foil=(9, 8))
        result = attention(model, features, generation, target)
        from dataclasses import replace

        contrasted = replace(generation, token_ids=np.array([1, 9, 8]))
        own = self.rows(model, generation, features).image[:, :, 1:3].mean(axis=(0, 1, 2))
        other = self.rows(model, contrasted, features).image[:, :, 1:3].mean(axis=(0, 1, 2))
        np.testing.assert_allclose(result.values.reshape(-1), own - other, rtol=1e-4, atol=1e-8)
        assert result.forwards == 2

    def test_one_token_and_a_foil_of_one_token_share_their_row_and_no_map_is_made_up(self):
        model, features, generation, _ = case(1, TARGETS[0])
        with pytest.raises(EmptyMap):
            attention(model, features, generation, Target((1, 2), foil=(9,)))

    @pytest.mark.parametrize("layers", ["first", 3, -4, [], [0, 9]])
    def test_layers_that_are_not_there_are_refused(self, layers):
        with pytest.raises(MalformedInput):
            chosen_layers(layers, ("sliding", "global", "sliding"))

    def test_heads_and_reductions_that_are_not_there_are_refused(self):
        model, features, generation, _ = case(1, TARGETS[0])
        for options in ({"heads": [2]}, {"heads": []}, {"reduce": "sum"}):
            with pytest.raises(MalformedInput):
                attention(model, features, generation, Target((1, 3)), **options)


def test_a_blind_model_gives_no_map():
    model, features, generation, _ = case(1, TARGETS[0])
    model.weights = torch.zeros_like(model.weights)
    for method in (token_ablation, saliency, input_x_gradient, integrated_gradients, pixel_gradient, occlusion):
        with pytest.raises(EmptyMap, match="does not mean that a finding is absent"):
            method(model, features, generation, Target((1, 3)))


def test_values_that_are_not_finite_are_refused():
    model, features, generation, _ = case(1, TARGETS[0])
    model.weights = model.weights * float("inf")
    with pytest.raises(RadiolucentError, match="not finite"):
        token_ablation(model, features, generation, Target((1, 3)))


def test_groups_cover_every_cell_once_even_where_they_do_not_divide_the_grid():
    features = AnalyticModel(2).features()
    labels = cell_groups(features, 3).reshape(2, GRID, GRID)
    assert labels.max() == 7 and sorted(np.unique(labels)) == list(range(8))
    assert (labels[0, :3, :3] == 0).all() and labels[0, 3, 3] == 3 and labels[1, 0, 0] == 4
    for group in (0, 5):
        with pytest.raises(MalformedInput):
            cell_groups(features, group)


@pytest.mark.parametrize(("patch", "stride"), [(0, 1), (17, 1), (2, 3), (4, 0)])
def test_windows_that_leave_pixels_out_are_refused(patch, stride):
    model, features, generation, _ = case(1, TARGETS[0])
    with pytest.raises(MalformedInput):
        occlusion(model, features, generation, Target((1, 3)), patch=patch, stride=stride)
    with pytest.raises(MalformedInput, match="fill"):
        occlusion(model, features, generation, Target((1, 3)), fill="black hole")
    with pytest.raises(MalformedInput, match="fill"):
        token_ablation(model, features, generation, Target((1, 3)), fill="zero")
