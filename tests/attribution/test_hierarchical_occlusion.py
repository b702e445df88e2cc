"""The coarse-to-fine search against closed forms, brute force and the dense map."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from analytic import CELLS, GRID, HIDDEN, PATCH, AnalyticModel
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_gemma import sampled

from radiolucent.attribution.hierarchical_occlusion import (
    METHOD,
    Part,
    hierarchical_occlusion,
    hierarchical_occlusions,
    parts,
)
from radiolucent.attribution.maps import EmptyMap
from radiolucent.attribution.method import Size
from radiolucent.attribution.occlusion import occlusion
from radiolucent.attribution.token_ablation import token_ablation
from radiolucent.attribution.types import AttributionMap
from radiolucent.errors import MalformedInput
from radiolucent.vlm.types import Target

TARGET = Target((1, 3))


def planted(cell, images=2, strength=5.0):
    """The target needs one cell, and its words lose when that is hidden."""
    model = AnalyticModel(images)
    model.weights = torch.zeros_like(model.weights)
    model.weights[2, 1, cell * HIDDEN] = strength
    features, generation = model.features(), model.generation()
    dense = occlusion(model, features, generation, TARGET, patch=PATCH, stride=PATCH).values.reshape(-1)
    if dense[cell] < 0:
        model.weights = -model.weights
    model.sequences = model.encoded = 0
    return model, features, generation, abs(float(dense[cell]))


@pytest.mark.parametrize("cell", [0, 7, 15, 20, 31])
def test_the_one_cell_that_matters_is_found_with_its_dense_loss_at_every_level(cell):
    model, features, generation, loss = planted(cell)
    result = hierarchical_occlusion(model, features, generation, TARGET, space="pixels")
    values = result.values.reshape(-1)
    assert values.argmax() == cell
    assert values[cell] == pytest.approx(loss * (1 / CELLS + 1 / 4 + 1), rel=1e-4)  # its image, its quarter, itself
    assert np.count_nonzero(values > 0.2 * loss) == 4  # the cell and the quarter it was found in
    assert np.count_nonzero(np.abs(values) > 1e-6) == CELLS  # the other image holds nothing
    assert result.forwards == model.sequences == 1 + 2 + 4 + 4
    assert model.encoded == 2 + 4 + 4


def by_hand(model, features, generation, target, part):
    """Oracle: the loss with a part's pixels overwritten by each channel's mean, one copy at a time."""

    def score(tokens):
        row = tokens.reshape(1, -1)
        first, last = target.tokens
        total = model.token_logprobs(None, generation.token_ids, row)[0, first:last].sum()
        if target.foil is not None:
            written = np.concatenate([generation.token_ids[:first], target.foil])
            total = total - model.token_logprobs(None, written, row)[0, first:].sum()
        return float(total)

    shown = features.pixels.clone()
    rows = slice(part.rows[0] * PATCH, part.rows[1] * PATCH)
    columns = slice(part.columns[0] * PATCH, part.columns[1] * PATCH)
    for image in range(*part.images):
        shown[image, :, rows, columns] = features.pixels[image].mean(dim=(1, 2))[:, None, None]
    return score(features.soft_tokens) - score(model._tokens(shown))


@pytest.mark.parametrize("target", [TARGET, Target((1, 3), foil=(7,))], ids=["plain", "foil"])
@pytest.mark.parametrize("images", [1, 2])
def test_dividing_everything_is_brute_force_over_every_level(images, target):
    model = AnalyticModel(images, curvature=0.05)
    features, generation = model.features(), model.generation()
    model.sequences = 0
    result = hierarchical_occlusion(model, features, generation, target, refine=999, space="pixels")
    spent = model.sequences
    levels = [[Part((i, i + 1), (0, 4), (0, 4)) for i in range(images)]] if images > 1 else []
    for edge in (2, 1):
        corners = range(0, GRID, edge)
        levels.append(
            [Part((i, i + 1), (r, r + edge), (c, c + edge)) for i in range(images) for r in corners for c in corners]
        )
    expected = np.zeros((images, GRID, GRID))
    for level in levels:
        for part in level:
            cells = (part.images[1] - part.images[0]) * (part.rows[1] - part.rows[0]) ** 2
            expected[part.place] += by_hand(model, features, generation, target, part) / cells
    np.testing.assert_allclose(result.values, expected, rtol=1e-4, atol=1e-5)
    assert result.forwards == spent == (1 + sum(map(len, levels))) * (2 if target.foil else 1)


@pytest.mark.parametrize("space", ["pixels", "tokens"])
def test_the_finest_level_is_the_dense_map_of_single_cells(space):
    """On a stock Gemma 3: all levels less the coarse ones, measured apart."""
    model, features, generation = sampled(1)
    whole = hierarchical_occlusion(model, features, generation, TARGET, refine=99, space=space).values
    if space == "pixels":
        edge = features.pixels.shape[-1]
        coarse = occlusion(model, features, generation, TARGET, patch=edge // 2, stride=edge // 2).values
        dense = occlusion(model, features, generation, TARGET, patch=edge // GRID, stride=edge // GRID).values
    else:
        coarse = token_ablation(model, features, generation, TARGET, group=GRID // 2).values
        dense = token_ablation(model, features, generation, TARGET).values
    np.testing.assert_allclose(whole - coarse / (GRID // 2) ** 2, dense, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("refine", [1, 2])
@pytest.mark.parametrize("fill", ["mean", "inpaint"])
def test_many_targets_are_one_by_one_in_any_batch_and_share_what_they_hide(fill, refine):
    model, features, generation = sampled(2)
    targets = [Target((0, 1)), Target((2, 5)), Target((2, 5), foil=(300, 301))]
    together = hierarchical_occlusions(model, features, generation, targets, fill=fill, refine=refine)
    apart = [
        hierarchical_occlusion(model, features, generation, target, fill=fill, refine=refine, batch=3)
        for target in targets
    ]
    for one, other in zip(together, apart, strict=True):
        np.testing.assert_allclose(one.values, other.values, rtol=1e-4, atol=1e-5)
        assert one.target == other.target
        most = apart[0].forwards + apart[1].forwards + apart[2].forwards // 2  # a foil doubles every pass
        assert one.forwards == together[0].forwards < 2 * most
    plain = hierarchical_occlusions(model, features, generation, targets[:1] * 3, fill=fill, refine=refine)
    assert plain[0].forwards == apart[0].forwards  # targets that look at the same places cost one's passes


def test_the_cost_is_what_was_run_also_with_a_foil():
    model = AnalyticModel(2)
    features, generation = model.features(), model.generation()
    made = hierarchical_occlusions(model, features, generation, [Target((0, 1)), Target((1, 3), foil=(7,))])
    assert made[0].forwards == made[1].forwards == model.sequences
    counted = METHOD.passes(Size(cells=CELLS, images=2, targets=2))  # a foil's second pass comes on top
    assert model.sequences <= 2 * counted.replays and model.encoded <= counted.encodes


def test_in_tokens_no_image_is_encoded_again():
    model = AnalyticModel(2)
    features, generation = model.features(), model.generation()
    hierarchical_occlusion(model, features, generation, TARGET, space="tokens")
    assert model.encoded == 0


def test_a_target_that_loses_nothing_is_empty_in_its_place():
    model = AnalyticModel(1)
    model.weights[:, 4] = 0
    features, generation = model.features(), model.generation()
    dead, alive = hierarchical_occlusions(model, features, generation, [Target((4, 5)), TARGET])
    assert isinstance(dead, EmptyMap) and isinstance(alive, AttributionMap)


def wide_case(images, grid):
    """An analytic model of ``grid`` x ``grid`` cells of one pixel."""
    model = AnalyticModel(images)
    features, generation = model.features(), model.generation()
    generator = torch.Generator().manual_seed(1)
    length = images * grid**2 * HIDDEN
    model.weights = torch.randn(11, 6, length, generator=generator).double()
    geometry = features.geometries[0].for_model(grid, grid)
    features = replace(
        features,
        soft_tokens=torch.randn(images, grid**2, HIDDEN, generator=generator).double(),
        pixels=torch.randn(images, 3, grid, grid, generator=generator).double(),
        geometries=(geometry,) * images,
    )
    return model, features, generation


@pytest.mark.parametrize(
    ("images", "grid", "forwards"), [(1, 16, 17), (2, 16, 19), (85, 16, 31), (1, 4, 9), (3, 8, 17)]
)
def test_a_grid_of_16_costs_17_passes_and_the_registry_says_so(images, grid, forwards):
    model, features, generation = wide_case(images, grid)
    result = hierarchical_occlusion(model, features, generation, TARGET, space="tokens")
    counted = METHOD.passes(Size(cells=grid**2, images=images))
    assert result.forwards <= forwards == counted.replays
    if images & (images - 1) == 0:  # an uneven half may have one image fewer to look into
        assert result.forwards == forwards


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.integers(1, 17), st.integers(1, 17))
def test_parts_tile_what_they_divide_down_to_single_cells(images, rows, columns):
    front = [Part((0, images), (0, rows), (0, columns))]
    seen = np.zeros((images, rows, columns), dtype=int)
    while front:
        below = []
        for whole in front:
            divided = parts(whole)
            tiled = np.zeros_like(seen)
            for part in divided:
                tiled[part.place] += 1
            inside = np.zeros_like(seen)
            inside[whole.place] = 1
            if divided:
                np.testing.assert_array_equal(tiled, inside)
            else:
                assert inside.sum() == 1
                seen += inside
            below += divided
        front = below
    assert (seen == 1).all()


def test_no_refinement_and_bad_options_are_refused():
    model, features, generation, _ = planted(0)
    for options in (
        {"refine": 0},
        {"fill": "black"},
        {"space": "voxels"},
        {"fill": "counterfactual"},
        {"batch": 0},
    ):
        with pytest.raises(MalformedInput):
            hierarchical_occlusion(model, features, generation, TARGET, **options)
