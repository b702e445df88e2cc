"""How sensitive the words' probability is to each pixel: the gradient carried through the vision tower.

Simonyan et al. 2014, arXiv 1312.6034. Finer than the token grid, and noisier: it says what an infinitesimal change
would do, not what the model used.
"""

from __future__ import annotations

import torch

from radiolucent.attribution.maps import finished
from radiolucent.attribution.method import Passes, describe
from radiolucent.attribution.model import ExplainableModel
from radiolucent.attribution.targets import in_single_precision, passes, score_with_graph
from radiolucent.attribution.types import AttributionMap
from radiolucent.vlm.types import Features, Generation, Target


def pixel_gradient(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    target: Target,
    *,
    absolute: bool = False,
) -> AttributionMap:
    """Gradient at the pixels shown to the model, summed over the colour channels; (images, size, size).

    Parameters
    ----------
    absolute
        True: the magnitude of that sum, the effect of a small grey-level change either way.
    """
    pixels = in_single_precision(features.pixels.detach()).clone().requires_grad_(True)
    with torch.enable_grad():
        rows = model.encode_pixels(pixels).flatten(0, 1).unsqueeze(0)
        score = score_with_graph(model, generation, rows, target)
    (gradient,) = torch.autograd.grad(score.sum(), pixels)
    grey = gradient.detach().float().sum(dim=1).cpu().numpy()
    return finished(
        abs(grey) if absolute else grey,
        features,
        claim="sensitive",
        method="pixel_gradient",
        target=target,
        units="nats per unit of normalised intensity",
        forwards=passes([target]),
        backwards=1,
    )


METHOD = describe(
    pixel_gradient,
    claim="sensitive",
    en="Gradient of the words' log-probability at each pixel, through the vision tower.",
    zh="文字对数概率对每个像素的梯度（经视觉编码器）。",
    cost="1 forward and 1 backward pass, image encode included",
    citation="Simonyan et al. 2014, arXiv 1312.6034",
    passes=lambda size: Passes(size.targets, size.targets, size.images * size.targets, size.images * size.targets),
)
