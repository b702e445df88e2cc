"""Agreement with Quantus (Hedström et al. 2023, JMLR 24:34) where both measure the same thing."""

import numpy as np
import pytest
import quantus
import torch

from radiolucent.faithfulness.metrics import rank_accuracy, rank_correlation, removal_curves, ssim
from radiolucent.faithfulness.pointing import energy_in_mask, pointing_hit
from radiolucent.study.geometry import Geometry

EDGE = 16
PIXELS = Geometry(rows=EDGE, cols=EDGE, model_size=4 * EDGE, grid=EDGE)  # every cell one pixel
SEEDS = range(12)
QUIET = {"disable_warnings": True, "abs": False, "normalise": False}


class Linear(torch.nn.Module):
    """Two classes, of which the second is a weighted sum of the picture."""

    def __init__(self, seed):
        super().__init__()
        self.weight = torch.from_numpy(np.random.default_rng(seed).standard_normal(EDGE * EDGE).astype(np.float32))

    def forward(self, pictures):
        score = pictures.reshape(len(pictures), -1) @ self.weight
        return torch.stack([torch.zeros_like(score), score], dim=1)


def drawn(seed):
    draw = np.random.default_rng(seed)
    picture = draw.random((1, EDGE, EDGE)).astype(np.float32) + 0.5
    values = draw.random((1, EDGE, EDGE)).astype(np.float32)
    row, column = draw.integers(1, 10, 2)
    mask = np.zeros((EDGE, EDGE), dtype=bool)
    mask[row : row + 5, column : column + 4] = True
    return picture, values, mask


def theirs(metric, seed):
    picture, values, mask = drawn(seed)
    (found,) = metric(
        model=Linear(seed).eval(),
        x_batch=picture[None],
        y_batch=np.array([1]),
        a_batch=values[None],
        s_batch=mask[None, None],
        softmax=False,
    )
    return found


@pytest.mark.parametrize(
    ("metric", "ours"),
    [
        (quantus.PointingGame, pointing_hit),
        (quantus.RelevanceMassAccuracy, energy_in_mask),
        (quantus.RelevanceRankAccuracy, rank_accuracy),
    ],
)
def test_localisation_agrees(metric, ours):
    for seed in SEEDS:
        _, values, mask = drawn(seed)
        assert float(ours(values, mask, PIXELS)) == pytest.approx(float(theirs(metric(**QUIET), seed)), abs=1e-5)


@pytest.mark.parametrize("step", [8, 32])
def test_the_curve_of_the_most_relevant_first_is_pixel_flipping(step):
    for seed in list(SEEDS)[:4]:
        picture, values, _ = drawn(seed)
        weight = Linear(seed).weight.numpy()

        def score(hidden, picture=picture, weight=weight):
            return (np.where(hidden, picture.min(), picture).reshape(len(hidden), -1) @ weight).astype(np.float64)

        ours = removal_curves(values, score, step=step, random_orders=1)
        flipped = theirs(quantus.PixelFlipping(features_in_step=step, perturb_baseline="black", **QUIET), seed)
        assert ours.morf[1:] == pytest.approx(np.ravel(flipped), abs=1e-4)


def test_similarities_of_maps_agree():
    for seed in SEEDS:
        _, first, _ = drawn(seed)
        second = first + 0.3 * drawn(seed + 100)[1]
        expected = quantus.correlation_spearman(first.ravel(), second.ravel())
        assert rank_correlation(first, second) == pytest.approx(expected, abs=1e-6)
    assert ssim(first, first) == pytest.approx(quantus.ssim(first[0], first[0]))
