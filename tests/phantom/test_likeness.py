"""Phantoms of seeds that nothing was fitted on are recognised; noise, blanks, negatives and real films are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from radiolucent.phantom.film import FIRST_TRAINING_SEED, draw_case
from radiolucent.phantom.likeness import describe, distance, fit, looks_like_phantom
from radiolucent.study import load_study


@pytest.mark.parametrize(("size", "seeds"), [(256, range(80_000, 80_010)), (512, range(81_000, 81_004))])
def test_unseen_phantoms_pass(size: int, seeds: range) -> None:
    for seed in seeds:
        film = draw_case(seed, size=size, marker=seed % 3 == 0).film / 255
        assert looks_like_phantom(film), seed


def test_a_grey_film_in_three_channels_is_the_same_film() -> None:
    film = draw_case(80_020, size=256).film / 255
    assert np.allclose(describe(film), describe(np.repeat(film[..., None], 3, axis=2)))


@pytest.mark.parametrize("size", [256, 512])
def test_noise_blanks_and_gradients_fail(size: int) -> None:
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 1, size)
    assert not looks_like_phantom(rng.random((size, size)))
    assert not looks_like_phantom(np.zeros((size, size)))
    assert not looks_like_phantom(np.full((size, size), 0.5))
    assert not looks_like_phantom(np.broadcast_to(ramp, (size, size)))


def test_an_inverted_an_upended_and_a_turned_phantom_fail() -> None:
    for seed in range(80_030, 80_034):
        film = draw_case(seed, size=256).film / 255
        assert not looks_like_phantom(1 - film)
        assert not looks_like_phantom(film[::-1])
        assert not looks_like_phantom(np.rot90(film))


def test_a_real_radiograph_fails() -> None:
    data = pytest.importorskip("pydicom.data")
    path = data.get_testdata_file("RG1_UNCR.dcm", download=False)
    assert path is not None, "pydicom-data is missing: it is among the development requirements"
    assert not looks_like_phantom(load_study(path).frames[0].picture())


def test_fitting_stores_the_farthest_phantom_and_a_margin(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "reference.npz"
    fit(path, films=10)
    with np.load(path) as stored:
        mean, precision, limit = stored["mean"], stored["precision"], float(stored["limit"])
    assert np.allclose(precision, precision.T) and np.linalg.eigvalsh(precision).min() > 0
    first = 3 * FIRST_TRAINING_SEED
    cases = [draw_case(s, size=512 if s % 5 == 0 else 256, marker=s % 7 == 0) for s in range(first, first + 10)]
    described = [describe(case.film / 255) for case in cases]
    assert np.allclose(mean, np.mean(described, axis=0))
    assert limit == pytest.approx(1.25 * max(distance(row, mean, precision) for row in described))


def test_the_distance_is_the_euclidean_one_in_whitened_space() -> None:
    rng = np.random.default_rng(1)
    root = rng.normal(size=(5, 5))
    features, mean = rng.normal(size=5), rng.normal(size=5)
    expected = np.linalg.norm(root.T @ (features - mean))
    assert distance(features, mean, root @ root.T) == pytest.approx(expected)
