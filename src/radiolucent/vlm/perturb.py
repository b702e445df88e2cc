"""Interventions on what the model is shown: cells of the token grid replaced, pixels hidden, a blank picture."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray

from radiolucent.errors import MalformedInput
from radiolucent.vlm.gemma3 import IMAGES_AT_A_TIME, Gemma3Model
from radiolucent.vlm.types import Features

GREY = 0.0  # mid-grey after SigLIP's normalisation (mean = std = 0.5)

Hidden = NDArray[np.bool_]
"""Bool (n, images, k, k): True where the picture is hidden, in each of n perturbed copies."""

Filling = Callable[[int, NDArray[np.bool_]], torch.Tensor]
"""(image, hidden (k, k)) -> what stands in the hidden places, for every place: (cells, hidden) or (3, size, size)."""

_blanks: WeakKeyDictionary[Gemma3Model, tuple[str, torch.Tensor]] = WeakKeyDictionary()  # one encode for all studies


def replace_cells(features: Features, hidden: Hidden, filling: Filling) -> torch.Tensor:
    """Soft tokens with cells replaced, one copy for each of the masks; nothing is encoded.

    Parameters
    ----------
    hidden
        Bool (n, images, g, g), g the token grid's edge.
    filling
        What stands in a hidden cell: (cells, hidden) for an image.

    Returns
    -------
    (n, images * cells, hidden), at least in single precision.
    """
    tokens = features.soft_tokens.detach()
    grid = features.geometries[0].grid
    _check(hidden, len(tokens), [grid])
    rows = tokens.to(torch.promote_types(tokens.dtype, torch.float32)).repeat(len(hidden), 1, 1, 1)
    for copy, image in np.argwhere(hidden.any(axis=(2, 3))):
        mask = torch.from_numpy(hidden[copy, image].reshape(-1, 1)).to(rows.device)
        rows[copy, image] = torch.where(mask, filling(int(image), hidden[copy, image]).to(rows), rows[copy, image])
    return rows.flatten(1, 2)


def hide_pixels(
    encode: Callable[[torch.Tensor], torch.Tensor],
    features: Features,
    hidden: Hidden,
    filling: Filling,
    *,
    batch: int = IMAGES_AT_A_TIME,
) -> torch.Tensor:
    """Soft tokens of the pictures with pixels hidden, encoded anew.

    An image without a hidden pixel keeps its tokens; the same image with the same pixels hidden is encoded once.

    Parameters
    ----------
    encode
        ``model.encode_pixels``.
    hidden
        Bool (n, images, k, k), k a divisor of the picture's edge in model pixels, such as the token grid's edge.
    filling
        What stands in a hidden pixel: (3, size, size) for an image.
    batch
        Images run through the vision tower together.

    Returns
    -------
    (n, images * cells, hidden), at least in single precision.
    """
    if batch < 1:
        raise MalformedInput(f"A batch of {batch} images encodes nothing; use at least 1.")
    pixels, tokens = features.pixels, features.soft_tokens.detach()
    size = pixels.shape[-1]
    _check(hidden, len(tokens), [edge for edge in range(1, size + 1) if size % edge == 0])
    rows = tokens.to(torch.promote_types(tokens.dtype, torch.float32)).repeat(len(hidden), 1, 1, 1)
    places: dict[tuple[int, bytes], list[int]] = {}
    for copy, image in np.argwhere(hidden.any(axis=(2, 3))):
        places.setdefault((int(image), hidden[copy, image].tobytes()), []).append(int(copy))
    wanted = list(places)
    times = size // hidden.shape[-1]
    for start in range(0, len(wanted), batch):
        some = wanted[start : start + batch]
        pictures = []
        for image, mask in some:
            region = hidden[places[image, mask][0], image]
            inside = torch.from_numpy(region.repeat(times, axis=0).repeat(times, axis=1)).to(pixels.device)
            pictures.append(torch.where(inside, filling(image, region).to(pixels), pixels[image]))
        with torch.no_grad():
            encoded = encode(torch.stack(pictures))
        for key, made in zip(some, encoded, strict=True):
            rows[places[key], key[0]] = made.to(rows)
    return rows.flatten(1, 2)


def blank_features(model: Gemma3Model, features: Features) -> Features:
    """The same study with every picture mid-grey: what the words owe to the question alone."""
    pixels = torch.full_like(features.pixels[:1], GREY)
    state, one = _blanks.get(model, ("", None))
    if one is None or state != model.weights_state:
        with torch.no_grad():
            one = model.encode_pixels(pixels)
        _blanks[model] = model.weights_state, one
    return replace(
        features,
        soft_tokens=one.expand(len(features.soft_tokens), -1, -1),
        pixels=pixels.expand_as(features.pixels),
        key=hashlib.sha256(f"blank of {features.key}".encode()).hexdigest(),
    )


def _check(hidden: Hidden, images: int, edges: list[int]) -> None:
    fits = hidden.dtype == np.bool_ and hidden.ndim == 4 and hidden.shape[1] == images
    if not fits or hidden.shape[2] != hidden.shape[3] or hidden.shape[2] not in edges:
        raise MalformedInput(
            f"Hidden places of {hidden.dtype} {hidden.shape}; expected bool (n, {images}, k, k) with k one of "
            f"{', '.join(map(str, edges))}."
        )
