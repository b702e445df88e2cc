"""Interventions change what they say and nothing else."""

from __future__ import annotations

import pytest
import torch
from conftest import picture_study, tiny_model
from scipy import ndimage

from radiolucent.errors import MalformedInput
from radiolucent.vlm.gemma3 import Gemma3Model
from radiolucent.vlm.perturb import blank_features, hide_pixels, pixel_fill, replace_cells


def test_only_the_masked_cells_are_replaced(model: Gemma3Model) -> None:
    features = model.encode(picture_study(2))
    mask = torch.zeros(3, 8, dtype=torch.bool)
    mask[0, 1] = mask[1, 6] = True
    rows = replace_cells(features, mask)
    flat = features.soft_tokens.flatten(0, 1)
    assert torch.equal(rows[2], flat)
    torch.testing.assert_close(rows[0, 1], features.soft_tokens[0].mean(0))
    torch.testing.assert_close(rows[1, 6], features.soft_tokens[1].mean(0))
    assert torch.equal(rows[0, 2:], flat[2:]) and torch.equal(rows[1, :6], flat[:6])
    blank = replace_cells(features, mask, "blank", model=model)
    assert torch.equal(blank[1, 6], blank_features(model, features).soft_tokens[1, 2])
    given = replace_cells(features, mask, torch.zeros(32))
    assert (given[0, 1] == 0).all() and torch.equal(given[0, 0], flat[0])


@pytest.mark.parametrize("fill", ["mean", "blur", "blank"])
def test_hidden_pixels_are_encoded_anew_and_untouched_images_are_not(fill: str) -> None:
    model = tiny_model()
    features = model.encode(picture_study(2))
    mask = torch.zeros(3, 2, 32, 32, dtype=torch.bool)
    mask[0, 1, 4:20, 8:30] = True
    mask[1] = True
    before = model.encodes
    rows = hide_pixels(model, features, mask, fill=fill, batch_size=2).unflatten(1, (2, 4))
    assert model.encodes - before == 3
    assert torch.equal(rows[2], features.soft_tokens) and torch.equal(rows[0, 0], features.soft_tokens[0])
    shown = features.pixels[1].clone()
    shown[:, mask[0, 1]] = pixel_fill(features.pixels, fill)[1][:, mask[0, 1]]
    torch.testing.assert_close(rows[0, 1], model.encode_pixels(shown[None])[0], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(rows[0, 1], features.soft_tokens[1], atol=1e-2)


def test_the_blur_is_a_gaussian() -> None:
    pixels = torch.randn(2, 3, 48, 48)
    expected = ndimage.gaussian_filter(pixels.numpy(), (0, 0, 3, 3), mode="mirror", truncate=3)
    torch.testing.assert_close(pixel_fill(pixels, "blur"), torch.tensor(expected), atol=1e-5, rtol=0)


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


def test_bad_masks_and_fills_are_refused(model: Gemma3Model) -> None:
    features = model.encode(picture_study(1))
    with pytest.raises(MalformedInput, match="expected bool"):
        replace_cells(features, torch.zeros(1, 4))
    with pytest.raises(MalformedInput, match="expected bool"):
        replace_cells(features, torch.zeros(1, 5, dtype=torch.bool))
    with pytest.raises(MalformedInput, match="give model="):
        replace_cells(features, torch.zeros(1, 4, dtype=torch.bool), "blank")
    with pytest.raises(MalformedInput, match="unknown"):
        replace_cells(features, torch.zeros(1, 4, dtype=torch.bool), "noise")  # type: ignore[arg-type]
    with pytest.raises(MalformedInput, match="expected bool"):
        hide_pixels(model, features, torch.zeros(1, 1, 16, 16, dtype=torch.bool))
    with pytest.raises(MalformedInput, match="unknown"):
        hide_pixels(model, features, torch.ones(1, 1, 32, 32, dtype=torch.bool), fill="black")  # type: ignore[arg-type]
