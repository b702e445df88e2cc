"""Does a method explain this model, steadily? Its maps under randomised weights, another seed, a shift, bfloat16.

What is explained stays the words that the trained model wrote; only what the map is made from changes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch

from radiolucent.attribution.cells import in_picture
from radiolucent.attribution.maps import EmptyMap
from radiolucent.attribution.model import ExplainableModel
from radiolucent.attribution.types import AttributionMap
from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.lab.randomise import in_bfloat16, randomised
from radiolucent.faithfulness.lab.records import Sanity
from radiolucent.faithfulness.metrics import Cells, compare_maps
from radiolucent.study.geometry import Geometry
from radiolucent.study.types import Study
from radiolucent.vlm.types import Features, Generation

SHIFT = 2  # pixels of the model's picture

Maps = Mapping[str, Sequence[AttributionMap | EmptyMap]]
"""Method -> a map for each of the film's targets."""

Maker = Callable[[ExplainableModel, Features, Generation, int, Sequence[str]], Maps]
"""(model, features, generation, seed, methods) -> maps of those methods."""

Pair = tuple[float, float]


def sanity_of(
    model: ExplainableModel,
    study: Study,
    features: Features,
    generation: Generation,
    make: Maker,
    trained: Maps,
    seeded: Sequence[str],
    *,
    seed: int,
) -> dict[str, list[Sanity | None]]:
    """How alike every method's maps of a film stay.

    Parameters
    ----------
    make
        Makes the maps of some methods anew.
    trained
        The maps of the trained model, made with ``seed``.
    seeded
        Methods that draw by a seed.
    seed
        Of the trained maps; the weights' noise and the second seed follow from it.

    Returns
    -------
    For each method and target; None where the trained map is empty.
    """
    bare = replace(generation, rows=None)  # rows of the trained pass would be taken for the changed model's own

    def again(changed: ExplainableModel, shown: Features) -> Maps:
        return make(changed, shown, bare, seed, list(trained))

    stages = [again(changed, changed.encode(study)) for _, changed in randomised(model, seed=seed)]
    other = in_bfloat16(model)
    precise = None if other is None else again(other, other.encode(study))
    moved = [again(model, shifted(model, features, step)) for step in (SHIFT, -SHIFT)]
    redrawn = make(model, features, generation, seed + 1, seeded)
    return {
        method: [
            None
            if isinstance(one, EmptyMap)
            else Sanity(
                cascade=tuple(_alike(one, stage[method][target]) for stage in stages),
                seed=_alike(one, redrawn[method][target]) if method in seeded else None,
                shift=_mean([_alike(one, step[method][target]) for step in moved]),
                precision=None if precise is None else _alike(one, precise[method][target]),
            )
            for target, one in enumerate(made)
        ]
        for method, made in trained.items()
    }


def shifted(model: ExplainableModel, features: Features, pixels: int) -> Features:
    """The study moved right and down by some of the model's pixels (left and up where negative), its edge repeated."""
    edge = features.pixels.shape[-1]
    if abs(pixels) >= edge:
        raise MalformedInput(f"A shift of {pixels} pixels leaves nothing of a picture {edge} wide.")
    places = (torch.arange(edge, device=features.pixels.device) - pixels).clamp(0, edge - 1)
    moved = features.pixels[:, :, places][:, :, :, places]
    with torch.no_grad():
        tokens = model.encode_pixels(moved)
    key = hashlib.sha256(f"{features.key} moved by {pixels}".encode()).hexdigest()
    return replace(features, pixels=moved, soft_tokens=tokens, key=key)


def picture_cells(geometries: Sequence[Geometry], grid: int) -> Cells:
    """Bool (frames, grid, grid): cells whose centre lies in the picture."""
    return np.stack([in_picture(geometry, grid) for geometry in geometries])


def _alike(one: AttributionMap, other: AttributionMap | EmptyMap) -> Pair:
    if isinstance(other, EmptyMap):
        return 0.0, 0.0
    inside = picture_cells(one.geometry, one.values.shape[1])
    found = compare_maps(one.values, other.values, inside=inside)
    return found.ssim, found.rank


def _mean(pairs: Sequence[Pair]) -> Pair:
    first, second = np.mean(pairs, axis=0)
    return float(first), float(second)
