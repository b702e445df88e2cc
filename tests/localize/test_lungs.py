"""Lung fields estimated from outlines, on films whose lungs are known."""

from __future__ import annotations

import numpy as np
import pytest
from known_lungs import Mask, chest, ellipse

from radiolucent.errors import MalformedInput
from radiolucent.localize import estimate_lung_fields


def _iou(a: Mask, b: Mask) -> float:
    return float((a & b).sum() / (a | b).sum())


@pytest.mark.parametrize("shape", [(300, 320), (512, 420), (256, 256), (700, 900)])
def test_known_lungs_are_found_on_films_of_any_shape(shape: tuple[int, int]) -> None:
    picture, left, right = chest(shape)
    fields = estimate_lung_fields(picture)
    assert not fields.unsure
    assert fields.picture_left.shape == shape
    assert _iou(fields.picture_left, left) > 0.85
    assert _iou(fields.picture_right, right) > 0.85


def test_a_mirrored_film_has_mirrored_lungs() -> None:
    picture, _, _ = chest()
    picture[ellipse(picture.shape, (0.66, 0.62), (0.09, 0.09))] = 0.75  # heart apex: makes the sides differ
    fields, mirrored = estimate_lung_fields(picture), estimate_lung_fields(picture[:, ::-1])
    assert _iou(fields.picture_left, mirrored.picture_right[:, ::-1]) > 0.95
    assert _iou(fields.picture_right, mirrored.picture_left[:, ::-1]) > 0.95


def test_heart_and_mediastinum_lie_between_the_lungs() -> None:
    picture, left, right = chest()
    fields = estimate_lung_fields(picture)
    assert fields.heart is not None
    assert fields.mediastinum is not None
    middle = picture.shape[1] / 2
    for box in (fields.heart, fields.mediastinum):
        assert box[0] < middle < box[2]
        assert abs((box[0] + box[2]) / 2 - middle) < 0.03 * picture.shape[1]
    rows = np.flatnonzero((left | right).any(axis=1))
    assert fields.heart[1] > rows[0] + 0.2 * (rows[-1] - rows[0])
    assert abs(fields.mediastinum[1] - rows[0]) < 0.05 * picture.shape[0]


def test_a_bright_lesion_takes_only_a_bite() -> None:
    picture, left, right = chest()
    picture[ellipse(picture.shape, (0.3, 0.62), (0.1, 0.08))] = 0.65
    fields = estimate_lung_fields(picture)
    assert not fields.unsure
    assert _iou(fields.picture_right, right) > 0.85
    assert (fields.picture_left & left).sum() > 0.6 * left.sum()


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((200, 200)),
        np.full((200, 300), 0.5),
        np.random.default_rng(0).random((200, 200)),
        np.tile(np.linspace(0, 1, 300), (200, 1)),
        ellipse((200, 200), (0.5, 0.5), (0.3, 0.3)).astype(float),
        np.eye(64),
    ],
    ids=["black", "grey", "noise", "ramp", "disc", "line"],
)
def test_what_has_no_lungs_is_unsure(picture: np.ndarray) -> None:
    fields = estimate_lung_fields(picture)
    assert fields.unsure
    assert fields.confidence < 0.55


@pytest.mark.parametrize("seed", range(3))
def test_phantom_lungs_are_found(seed: int) -> None:
    film = pytest.importorskip("radiolucent.phantom.film")
    case = film.draw_case(seed, size=256)
    fields = estimate_lung_fields(case.film / 255.0)
    assert not fields.unsure
    assert _iou(fields.both, case.structures["lungs"]) > 0.55  # the truth holds the lung behind the heart too


def test_colour_is_averaged_and_bad_pictures_are_refused() -> None:
    picture, _, _ = chest()
    colour = np.stack([picture] * 3, axis=-1)
    assert _iou(estimate_lung_fields(colour).both, estimate_lung_fields(picture).both) > 0.999
    with pytest.raises(MalformedInput, match="shape"):
        estimate_lung_fields(np.zeros((4, 4, 4, 4)))
    with pytest.raises(MalformedInput, match="finite"):
        estimate_lung_fields(np.full((10, 10), np.nan))
