from dataclasses import replace

import numpy as np
import pytest
import torch
from analytic import GRID, HIDDEN, SIZE, AnalyticModel

from radiolucent.attribution import hierarchical_occlusion as module
from radiolucent.attribution.occlusion import occlusion
from radiolucent.errors import MalformedInput
from radiolucent.vlm.types import Target

TARGET = Target((1, 3))
CELL = SIZE // GRID


@pytest.fixture(autouse=True)
def two_levels(monkeypatch):
    """The analytic model has 4 x 4 cells: start at 2 x 2 blocks."""
    monkeypatch.setattr(module, "COARSE", 2)


def planted(cell, images=2, strength=5.0):
    model = AnalyticModel(images)
    model.weights = torch.zeros_like(model.weights)
    model.weights[2, 1, cell * HIDDEN] = strength
    return model, model.features(), model.generation()


@pytest.mark.parametrize("cell", [0, 7, 15, 20, 31])
def test_the_one_cell_that_matters_is_found_with_its_dense_value(cell):
    model, features, generation = planted(cell)
    dense = occlusion(model, features, generation, TARGET, patch=CELL, stride=CELL, fill="mean").values.reshape(-1)
    if dense[cell] < 0:
        model.weights = -model.weights
        dense = -dense
    model.sequences = 0
    result = module.hierarchical_occlusion(model, features, generation, TARGET, refine=1)
    values = result.values.reshape(-1)
    assert values.argmax() == cell and values[cell] == pytest.approx(dense[cell], rel=1e-4)
    assert np.count_nonzero(np.abs(values) > 1e-6) == 1
    assert result.forwards == model.sequences == 1 + 2 * 4 + 4


def test_a_block_that_was_not_split_shares_its_loss_among_its_cells():
    model = AnalyticModel(1)
    features, generation = model.features(), model.generation()
    result = module.hierarchical_occlusion(model, features, generation, TARGET, refine=1)
    coarse = occlusion(model, features, generation, TARGET, patch=2 * CELL, stride=2 * CELL).values[0]
    blocks = result.values[0].reshape(2, 2, 2, 2).transpose(0, 2, 1, 3).reshape(4, 4)
    whole = coarse.reshape(2, 2, 2, 2).transpose(0, 2, 1, 3).reshape(4, 4)[:, 0]
    split = int(whole.argmax())
    for block in range(4):
        if block == split:
            dense = occlusion(model, features, generation, TARGET, patch=CELL, stride=CELL).values[0]
            np.testing.assert_allclose(
                blocks[block], dense.reshape(2, 2, 2, 2).transpose(0, 2, 1, 3).reshape(4, 4)[block], rtol=1e-4
            )
        else:
            np.testing.assert_allclose(blocks[block], whole[block] / 4, rtol=1e-4)


def test_splitting_everything_gives_the_dense_map():
    model = AnalyticModel(1)
    features, generation = model.features(), model.generation()
    result = module.hierarchical_occlusion(model, features, generation, Target((1, 3), foil=(7,)), refine=99)
    dense = occlusion(model, features, generation, Target((1, 3), foil=(7,)), patch=CELL, stride=CELL)
    np.testing.assert_allclose(result.values, dense.values, rtol=1e-4, atol=1e-5)
    assert result.forwards == 2 * (1 + 4 + 16)


@pytest.mark.parametrize(
    ("grid", "edges", "forwards"),
    [(16, [4, 2, 1], 1 + 16 + 16 + 16), (12, [2, 1], 1 + 36 + 16), (9, [2, 1], 1 + 25 + 1 + 2 + 2 + 2)],
)
def test_a_grid_of_16_costs_49_passes_and_every_cell_is_measured(monkeypatch, grid, edges, forwards):
    monkeypatch.setattr(module, "COARSE", 4)
    calls = []

    def fake(model, features, generation, target, hidden, *, patch, fill, batch):
        calls.append((patch, hidden))
        return np.array([float(-(top + left)) for _, top, left in hidden])

    monkeypatch.setattr(module, "occluded_scores", fake)
    monkeypatch.setattr(module, "scores", lambda *a, **k: torch.zeros(1, 1))
    features = AnalyticModel(1).features()
    features = replace(
        features,
        pixels=torch.zeros(1, 3, grid * 2, grid * 2),
        geometries=(features.geometries[0].for_model(grid * 2, grid),),
    )
    result = module.hierarchical_occlusion(AnalyticModel(1), features, AnalyticModel(1).generation(), TARGET)
    assert result.forwards == forwards
    assert [patch for patch, _ in calls] == [2 * edge for edge in edges]
    assert all(top + 1 < grid * 2 and left + 1 < grid * 2 for _, hidden in calls for _, top, left in hidden)


def test_no_refinement_is_refused():
    model, features, generation = planted(0)
    with pytest.raises(MalformedInput):
        module.hierarchical_occlusion(model, features, generation, TARGET, refine=0)
