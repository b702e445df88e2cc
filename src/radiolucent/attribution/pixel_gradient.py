"""How sensitive the words' score is to each pixel: the gradient carried through the vision tower.

Simonyan et al. 2014, arXiv 1312.6034. Finer than the token grid, and noisier: it says what an infinitesimal change
would do, not what the model used.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from radiolucent.attribution.gradients import (
    UNITS,
    Gradients,
    Score,
    picture_gradients,
    sensitivity_maps,
    through_vision,
)
from radiolucent.attribution.method import Made, Passes, describe, only
from radiolucent.attribution.model import ExplainableModel
from radiolucent.attribution.types import AttributionMap
from radiolucent.vlm.types import Features, Generation, Target


def pixel_gradient(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    target: Target,
    *,
    absolute: bool = False,
    score: Score = "logprob",
    gradients: Gradients | None = None,
) -> AttributionMap:
    """Gradient at the pixels shown to the model, summed over the colour channels; (images, size, size).

    Parameters
    ----------
    absolute
        True: the magnitude of that sum, the effect of a small grey-level change either way.
    score
        ``logprob`` or ``logit``; see :func:`radiolucent.attribution.gradients.target_gradients`.
    gradients
        Taken already of the same targets and score, see :func:`radiolucent.attribution.gradients.picture_gradients`.
    """
    return only(
        pixel_gradients(model, features, generation, [target], absolute=absolute, score=score, gradients=gradients)
    )


def pixel_gradients(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    targets: Sequence[Target],
    *,
    absolute: bool = False,
    score: Score = "logprob",
    gradients: Gradients | None = None,
) -> list[Made]:
    """The maps of several targets: one pass and one encode of each image for all; passes are those of all."""
    found = picture_gradients(model, features, generation, targets, score=score, gradients=gradients)
    by_image = [
        at_pixels.sum(dim=1) for _, at_pixels in through_vision(model, features, found.values[:, 0], layer=None)
    ]
    grey = torch.stack(by_image, dim=1)
    return sensitivity_maps(
        grey.abs() if absolute else grey,
        features,
        targets,
        method="pixel_gradient",
        units=f"{UNITS[score]} per unit of normalised intensity",
        forwards=found.forwards,
        backwards=found.backwards,
    )


METHOD = describe(
    pixel_gradient,
    claim="sensitive",
    en="Gradient of the words' log-probability at each pixel, through the vision tower.",
    zh="文字对数概率对每个像素的梯度（经视觉编码器）。",
    cost="1 forward and 1 image encode for all targets, 1 backward pass through both each",
    citation="Simonyan et al. 2014, arXiv 1312.6034",
    passes=lambda size: Passes(1, size.targets, size.images, size.images * size.targets),
    many=pixel_gradients,
)
