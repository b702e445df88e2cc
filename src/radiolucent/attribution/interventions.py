"""Hide a region of the picture and measure what the words lose: the engine under every *relied on* claim.

A region is a set of cells of the token grid. It is hidden in the soft tokens (the language model is not shown it, the
vision tower was) or in the pixels (the vision tower is not shown it either, one image encode more). One perturbed
pass serves every target; equal regions run once; perturbed copies are built a batch at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from radiolucent.attribution.fills import BLUR, Fill, Space, filling
from radiolucent.attribution.model import ExplainableModel
from radiolucent.attribution.targets import BATCH, scores
from radiolucent.errors import MalformedInput
from radiolucent.vlm.gemma3 import IMAGES_AT_A_TIME
from radiolucent.vlm.perturb import Hidden, hide_pixels, replace_cells
from radiolucent.vlm.types import Features, Generation, Target

Show = Callable[[Hidden], torch.Tensor]
"""Hidden places (n, images, k, k) -> soft tokens (n, images * cells, hidden) of the n perturbed copies."""


def intervention(
    model: ExplainableModel,
    features: Features,
    *,
    fill: Fill = "mean",
    space: Space = "tokens",
    other: Features | None = None,
    blur: float = BLUR,
    batch: int = BATCH,
) -> Show:
    """How the study is shown with places hidden; the fill is prepared once.

    Parameters
    ----------
    fill, other, blur
        See :func:`radiolucent.attribution.fills.filling`.
    batch
        Most images run through the vision tower together; ``tokens`` encodes none.
    """
    if batch < 1:
        raise MalformedInput(f"A batch of {batch} copies scores nothing; use at least 1.")
    standing = filling(model, features, fill, space, other=other, blur=blur)
    if space == "tokens":
        return lambda hidden: replace_cells(features, hidden, standing)
    images = min(batch, IMAGES_AT_A_TIME)
    return lambda hidden: hide_pixels(model.encode_pixels, features, hidden, standing, batch=images)


def hidden_scores(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    targets: Sequence[Target],
    regions: Hidden,
    *,
    fill: Fill = "mean",
    space: Space = "tokens",
    batch: int = BATCH,
    other: Features | None = None,
) -> NDArray[np.float64]:
    """Score of every target with each region hidden, nats.

    Parameters
    ----------
    regions
        Bool (regions, frames, g, g): the cells hidden in each perturbed copy. In pixels also finer: (…, k, k) with k a
        divisor of the picture's edge in model pixels.
    fill
        ``mean``, ``blank``, ``blur``, ``inpaint`` or ``counterfactual`` (needs ``other``), see
        :mod:`radiolucent.attribution.fills`.
    space
        ``tokens``: soft tokens are replaced; ``pixels``: the pictures are encoded again with the region hidden.
    batch
        Perturbed copies built and scored together.
    other
        Another study's features, of as many images, that ``counterfactual`` shows in the region.

    Returns
    -------
    float64 (regions, targets)

    Raises
    ------
    MalformedInput
        Where the regions' shape, the fill or the space does not fit.
    """
    show = intervention(model, features, fill=fill, space=space, other=other, batch=batch)
    places, back = distinct(np.asarray(regions))
    return shown_scores(model, generation, targets, show, places, batch=batch)[back]


def shown_scores(
    model: ExplainableModel,
    generation: Generation,
    targets: Sequence[Target],
    show: Show,
    regions: Hidden,
    *,
    batch: int = BATCH,
) -> NDArray[np.float64]:
    """Score of every target with each region hidden by an intervention made before; repeats are run.

    For searches that ask several times; else :func:`hidden_scores`.

    Returns
    -------
    float64 (regions, targets)
    """
    made = [
        scores(model, generation, show(regions[start : start + batch]), targets, batch=batch).numpy()
        for start in range(0, len(regions), batch)
    ]
    return np.concatenate(made) if made else np.zeros((0, len(targets)))


def losses(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    targets: Sequence[Target],
    regions: Hidden,
    *,
    fill: Fill = "mean",
    space: Space = "tokens",
    batch: int = BATCH,
    other: Features | None = None,
) -> NDArray[np.float64]:
    """Nats that every target loses with each region hidden: the picture's own score less the hidden one.

    Parameters, errors and cost as :func:`hidden_scores`, and one pass more for the picture as it is.

    Returns
    -------
    float64 (regions, targets); positive where the region supports the target.
    """
    regions = np.asarray(regions)
    whole = np.zeros((1, *regions.shape[1:]), dtype=regions.dtype)
    every = hidden_scores(
        model,
        features,
        generation,
        targets,
        np.concatenate([whole, regions]),
        fill=fill,
        space=space,
        batch=batch,
        other=other,
    )
    lost: NDArray[np.float64] = every[0] - every[1:]
    return lost


def losses_of_each(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    wanted: Sequence[tuple[Target, Hidden]],
    *,
    fill: Fill = "mean",
    space: Space = "tokens",
    batch: int = BATCH,
    other: Features | None = None,
) -> list[NDArray[np.float64]]:
    """Nats that each target loses with its own regions hidden.

    All targets without a foil share the passes of all their regions; a target with a foil runs its own alone, since
    each of its passes costs a second one.

    Parameters
    ----------
    wanted
        Targets with their regions, bool (regions, frames, g, g); the rest as :func:`hidden_scores`.

    Returns
    -------
    For each target float64 (regions,).
    """
    made: list[NDArray[np.float64]] = [np.zeros(0)] * len(wanted)
    plain = [index for index, (target, _) in enumerate(wanted) if target.foil is None]
    contrasted = [[index] for index, (target, _) in enumerate(wanted) if target.foil is not None]
    for group in [plain, *contrasted] if plain else contrasted:
        targets = [wanted[index][0] for index in group]
        regions = np.concatenate([wanted[index][1] for index in group])
        lost = losses(model, features, generation, targets, regions, fill=fill, space=space, batch=batch, other=other)
        ends = np.cumsum([len(wanted[index][1]) for index in group])
        for column, (index, part) in enumerate(zip(group, np.split(lost, ends[:-1]), strict=True)):
            made[index] = part[:, column]
    return made


def distinct(regions: Hidden) -> tuple[Hidden, NDArray[np.int64]]:
    """The regions without repeats, in order of first appearance, and the place of each region among them."""
    number: dict[bytes, int] = {}
    first: list[int] = []
    back = np.zeros(len(regions), dtype=np.int64)
    for index, region in enumerate(regions):
        back[index] = number.setdefault(region.tobytes(), len(first))
        if back[index] == len(first):
            first.append(index)
    return regions[first], back
