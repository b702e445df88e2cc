"""Interventions on what the model is shown: hide cells of the token grid, hide pixels, show a blank picture."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Literal
from weakref import WeakKeyDictionary

import torch
from torch.nn import functional

from radiolucent.errors import MalformedInput
from radiolucent.vlm.gemma3 import IMAGES_AT_A_TIME, Gemma3Model
from radiolucent.vlm.types import Features

GREY = 0.0  # mid-grey after SigLIP's normalisation (mean = std = 0.5)
BLUR_SHARE = 1 / 16  # standard deviation of the blur as a share of the picture's edge: one cell of MedGemma's grid

_blanks: WeakKeyDictionary[Gemma3Model, dict[str, torch.Tensor]] = WeakKeyDictionary()


def replace_cells(
    features: Features,
    cell_mask: torch.Tensor,
    fill: Literal["mean", "blank"] | torch.Tensor = "mean",
    *,
    model: Gemma3Model | None = None,
) -> torch.Tensor:
    """Soft tokens with cells replaced, one copy for each row of the mask.

    Parameters
    ----------
    cell_mask
        Bool (B, images * cells): True where the cell is replaced.
    fill
        ``mean`` (each image's mean token; Neo et al. 2025, arXiv 2410.07149), ``blank`` (the tokens of a mid-grey
        picture; needs ``model``) or a tensor that broadcasts to (images, cells, hidden).

    Returns
    -------
    (B, images * cells, hidden)
    """
    tokens = features.soft_tokens.detach()
    images, cells, hidden = tokens.shape
    if cell_mask.dtype != torch.bool or cell_mask.ndim != 2 or cell_mask.shape[1] != images * cells:
        raise MalformedInput(
            f"A cell mask of {cell_mask.dtype} {tuple(cell_mask.shape)}; expected bool (B, {images * cells})."
        )
    if isinstance(fill, torch.Tensor):
        filling = fill.to(tokens)
    elif fill == "mean":
        filling = tokens.mean(dim=1, keepdim=True)
    elif fill == "blank":
        if model is None:
            raise MalformedInput("The fill 'blank' encodes a blank picture; give model=.")
        filling = blank_features(model, features).soft_tokens
    else:
        raise MalformedInput(f"The fill {fill!r} is unknown; use 'mean', 'blank' or a tensor.")
    flat = filling.expand(images, cells, hidden).reshape(1, images * cells, hidden)
    return torch.where(cell_mask.to(tokens.device)[..., None], flat, tokens.reshape(1, images * cells, hidden))


def hide_pixels(
    model: Gemma3Model,
    features: Features,
    mask: torch.Tensor,
    *,
    fill: Literal["mean", "blur", "blank"] = "blur",
    batch_size: int = IMAGES_AT_A_TIME,
) -> torch.Tensor:
    """Soft tokens of the pictures with pixels hidden, encoded anew; images without a hidden pixel are not.

    Parameters
    ----------
    mask
        Bool (B, images, size, size): True where the pixel is hidden.
    fill
        ``mean`` (each channel's mean over the image), ``blur`` (the image, blurred by a cell) or ``blank`` (mid-grey).
    batch_size
        Images run through the vision tower together.

    Returns
    -------
    (B, images * cells, hidden)
    """
    pixels = features.pixels
    images, _, size, _ = pixels.shape
    if mask.dtype != torch.bool or mask.ndim != 4 or tuple(mask.shape[1:]) != (images, size, size):
        raise MalformedInput(
            f"A pixel mask of {mask.dtype} {tuple(mask.shape)}; expected bool (B, {images}, {size}, {size})."
        )
    if batch_size < 1:
        raise MalformedInput(f"batch_size={batch_size}; use at least 1.")
    filling = pixel_fill(pixels, fill)
    soft = features.soft_tokens.detach()[None].repeat(len(mask), 1, 1, 1)
    touched = mask.to(pixels.device).flatten(2).any(-1).nonzero()
    for some in torch.split(touched, batch_size):
        row, image = some[:, 0], some[:, 1]
        hidden = mask.to(pixels.device)[row, image][:, None]
        with torch.no_grad():
            soft[row, image] = model.encode_pixels(torch.where(hidden, filling[image], pixels[image]))
    return soft.flatten(1, 2)


def pixel_fill(pixels: torch.Tensor, fill: str) -> torch.Tensor:
    """What hidden pixels show: (images, 3, size, size) of the same pictures."""
    if fill == "mean":
        return pixels.mean(dim=(2, 3), keepdim=True).expand_as(pixels)
    if fill == "blank":
        return torch.full_like(pixels, GREY)
    if fill == "blur":
        return _blurred(pixels, pixels.shape[-1] * BLUR_SHARE)
    raise MalformedInput(f"The fill {fill!r} is unknown; use 'mean', 'blur' or 'blank'.")


def blank_features(model: Gemma3Model, features: Features) -> Features:
    """The same study with every picture mid-grey: what the words owe to the question alone."""
    pixels = torch.full_like(features.pixels[:1], GREY)
    known = _blanks.setdefault(model, {})
    if features.key not in known:
        known.clear()  # the last study's only
        with torch.no_grad():
            known[features.key] = model.encode_pixels(pixels)
    one = known[features.key]
    return replace(
        features,
        soft_tokens=one.expand(len(features.soft_tokens), -1, -1),
        pixels=pixels.expand_as(features.pixels),
        key=hashlib.sha256(f"blank of {features.key}".encode()).hexdigest(),
    )


def _blurred(pixels: torch.Tensor, deviation: float) -> torch.Tensor:
    """Gaussian blur, edges mirrored, cut at three standard deviations."""
    radius = min(int(3 * deviation), pixels.shape[-1] - 1)
    steps = torch.arange(-radius, radius + 1, device=pixels.device, dtype=torch.float32)
    weights = torch.exp(-0.5 * (steps / max(deviation, 1e-6)) ** 2)
    kernel = (weights / weights.sum()).view(1, 1, -1)
    channels = pixels.float().flatten(0, 1)[:, None]
    across = functional.conv2d(functional.pad(channels, (radius, radius, 0, 0), "reflect"), kernel[:, :, None])
    blurred = functional.conv2d(functional.pad(across, (0, 0, radius, radius), "reflect"), kernel[..., None])
    return blurred[:, 0].view_as(pixels).to(pixels.dtype)
