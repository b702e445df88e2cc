import numpy as np
import pytest
from scipy import ndimage

from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.baselines import CENTRE_SPREAD, centre_prior, edge_map, random_map
from radiolucent.study.geometry import Geometry

GEOMETRY = Geometry(rows=64, cols=64, model_size=64, grid=8)


def test_random_maps_are_standard_normal_and_repeat_with_their_seed():
    many = random_map([GEOMETRY] * 400, seed=1)
    assert many.shape == (400, 8, 8) and many.dtype == np.float32
    assert many.mean() == pytest.approx(0, abs=0.02)
    assert many.std() == pytest.approx(1, abs=0.02)
    np.testing.assert_array_equal(many, random_map([GEOMETRY] * 400, seed=1))
    assert not np.array_equal(many, random_map([GEOMETRY] * 400, seed=2))


def test_the_centre_prior_is_a_gaussian_of_the_stated_spread():
    (prior,) = centre_prior([GEOMETRY])
    np.testing.assert_allclose(prior, prior.T)
    np.testing.assert_allclose(prior, prior[::-1, ::-1])
    distance = (0.5 + 3) / 8  # outermost cell's centre to the middle
    # cells (0, 3) and (3, 3) differ in rows only: log ratio = (d_outer^2 - d_inner^2) / (2 s^2)
    expected = (distance**2 - (0.5 / 8) ** 2) / (2 * CENTRE_SPREAD**2)
    assert np.log(prior[3, 3] / prior[0, 3]) == pytest.approx(expected, rel=1e-5)


def test_edges_stand_on_the_step_and_nowhere_else():
    picture = np.zeros((64, 64), dtype=np.float32)
    picture[:, 36:] = 1.0
    (edges,) = edge_map([picture], [GEOMETRY])
    assert (edges[:, 4] > 0).all()
    assert edges[:, 4] == pytest.approx(np.full(8, 2 * 4 / 8))  # Sobel of a unit step is 4 in two columns of 8
    assert np.delete(edges, 4, axis=1).max() == 0


def test_padding_is_not_an_edge():
    geometry = Geometry(rows=64, cols=32, model_size=64, grid=8)
    (edges,) = edge_map([np.ones((64, 32), dtype=np.float32)], [geometry])
    assert edges.max() == 0


def test_edges_equal_a_direct_computation_and_take_colour():
    picture = np.random.default_rng(0).random((64, 64))
    magnitude = np.hypot(ndimage.sobel(picture, 0), ndimage.sobel(picture, 1))
    (edges,) = edge_map([np.repeat(picture[..., None], 3, axis=2)], [GEOMETRY])
    expected = magnitude.reshape(8, 8, 8, 8).mean(axis=(1, 3))
    np.testing.assert_allclose(edges[1:-1, 1:-1], expected[1:-1, 1:-1], rtol=1e-5)


def test_frames_of_different_grids_are_refused():
    with pytest.raises(MalformedInput):
        random_map([GEOMETRY, GEOMETRY.for_model(64, 4)])
