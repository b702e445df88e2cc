"""Interventions change what they say and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_gemma import picture_study, tiny_model

from radiolucent.errors import MalformedInput
from radiolucent.vlm.gemma3 import Gemma3Model
from radiolucent.vlm.perturb import blank_features, hide_pixels, replace_cells


def stands(value: float):
    """The same value everywhere, whatever is hidden."""
    return lambda image, hidden: torch.tensor(value)


def test_only_the_hidden_cells_are_replaced(model: Gemma3Model) -> None:
    features = model.encode(picture_study(2))
    hidden = np.zeros((3, 2, 2, 2), dtype=bool)
    hidden[0, 0, 0, 1] = hidden[1, 1, 1, 0] = True
    rows = replace_cells(features, hidden, stands(7.0))
    flat = features.soft_tokens.flatten(0, 1)
    assert torch.equal(rows[2], flat)
    assert (rows[0, 1] == 7).all() and (rows[1, 6] == 7).all()
    assert torch.equal(rows[0, [0, 2, 3, 4, 5, 6, 7]], flat[[0, 2, 3, 4, 5, 6, 7]])
    assert torch.equal(rows[1, [0, 1, 2, 3, 4, 5, 7]], flat[[0, 1, 2, 3, 4, 5, 7]])


@pytest.mark.parametrize("perturb", ["cells", "pixels"])
def test_the_filling_is_asked_for_each_touched_image_and_its_own_places(perturb: str) -> None:
    model = tiny_model()
    features = model.encode(picture_study(3))
    hidden = np.zeros((2, 3, 2, 2), dtype=bool)
    hidden[0, 2, 1, 1] = hidden[1, 0] = hidden[1, 2, 0, 1] = True
    asked = []

    def filling(image: int, places: np.ndarray) -> torch.Tensor:
        asked.append((image, places.tolist()))
        return torch.tensor(float(image))

    if perturb == "cells":
        rows = replace_cells(features, hidden, filling).unflatten(1, (3, 4))
        assert (rows[0, 2, 3] == 2).all() and (rows[1, 0] == 0).all() and (rows[1, 2, 1] == 2).all()
    else:
        hide_pixels(model.encode_pixels, features, hidden, filling)
    assert asked == [(2, hidden[0, 2].tolist()), (0, hidden[1, 0].tolist()), (2, hidden[1, 2].tolist())]


@pytest.mark.parametrize("edge", [2, 8, 32])
def test_hidden_pixels_are_encoded_anew_and_untouched_images_are_not(edge: int) -> None:
    model = tiny_model()
    features = model.encode(picture_study(2))
    hidden = np.zeros((4, 2, edge, edge), dtype=bool)
    hidden[0, 1, : edge // 2, edge // 2 :] = True
    hidden[1] = True
    hidden[3] = hidden[0]
    before = model.encodes
    rows = hide_pixels(model.encode_pixels, features, hidden, stands(0.25), batch=2).unflatten(1, (2, 4))
    assert model.encodes - before == 3  # the fourth copy's pictures are the first's
    assert torch.equal(rows[2], features.soft_tokens) and torch.equal(rows[0, 0], features.soft_tokens[0])
    assert torch.equal(rows[3], rows[0])
    shown = features.pixels[1].clone()
    shown[:, :16, 16:] = 0.25
    torch.testing.assert_close(rows[0, 1], model.encode_pixels(shown[None])[0], atol=1e-5, rtol=1e-5)
    everything = model.encode_pixels(torch.full((1, 3, 32, 32), 0.25))[0]
    torch.testing.assert_close(rows[1], everything.expand(2, -1, -1), atol=1e-5, rtol=1e-5)
    assert not torch.allclose(rows[0, 1], features.soft_tokens[1], atol=1e-2)


def test_copies_of_half_precision_tokens_are_in_single_precision() -> None:
    model = tiny_model(dtype=torch.bfloat16)
    features = model.encode(picture_study(1))
    hidden = np.zeros((2, 1, 2, 2), dtype=bool)
    hidden[0, 0, 0, 0] = True
    cells = replace_cells(features, hidden, stands(1.0))
    pixels = hide_pixels(model.encode_pixels, features, hidden, stands(1.0))
    assert cells.dtype == pixels.dtype == torch.float32
    assert torch.equal(cells[1], features.soft_tokens[0].float()) and torch.equal(pixels[1], cells[1])


def test_a_blank_study_is_encoded_once_and_shaped_like_the_original() -> None:
    model = tiny_model()
    features = model.encode(picture_study(3))
    before = model.encodes
    blank = blank_features(model, features)
    again = blank_features(model, features)
    assert model.encodes - before == 1 and torch.equal(blank.soft_tokens, again.soft_tokens)
    assert blank.soft_tokens.shape == features.soft_tokens.shape and blank.pixels.shape == features.pixels.shape
    assert blank.key != features.key and blank.geometries == features.geometries
    torch.testing.assert_close(blank.soft_tokens[2], model.encode_pixels(torch.zeros(1, 3, 32, 32))[0])


@pytest.mark.parametrize(
    "hidden",
    [
        np.zeros((1, 1, 2, 2)),
        np.zeros((1, 2, 2, 2), dtype=bool),
        np.zeros((1, 4), dtype=bool),
        np.zeros((1, 1, 2, 4), dtype=bool),
        np.zeros((1, 1, 3, 3), dtype=bool),
    ],
    ids=["floats", "two images", "flat", "oblong", "no divisor"],
)
def test_bad_masks_are_refused(model: Gemma3Model, hidden: np.ndarray) -> None:
    features = model.encode(picture_study(1))
    with pytest.raises(MalformedInput, match="expected bool"):
        replace_cells(features, hidden, stands(0.0))
    with pytest.raises(MalformedInput, match="expected bool"):
        hide_pixels(model.encode_pixels, features, hidden, stands(0.0))


def test_a_finer_grid_than_the_tokens_is_for_pixels_only_and_a_batch_holds_an_image(model: Gemma3Model) -> None:
    features = model.encode(picture_study(1))
    fine = np.zeros((1, 1, 4, 4), dtype=bool)
    hide_pixels(model.encode_pixels, features, fine, stands(0.0))
    with pytest.raises(MalformedInput, match="k one of 2"):
        replace_cells(features, fine, stands(0.0))
    with pytest.raises(MalformedInput, match="at least 1"):
        hide_pixels(model.encode_pixels, features, fine, stands(0.0), batch=0)
