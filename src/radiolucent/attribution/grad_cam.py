"""Which of a middle vision layer's channels the words are sensitive to, and where those channels are active.

Grad-CAM (Selvaraju et al. 2017, arXiv 1610.02391) for a tower of patch tokens: a layer's output is a map of channels
over the patches (SigLIP has no class token to take away); each channel is weighted by its gradient's mean over the
picture, and the weighted sum is averaged over the patches of each cell of the token grid. ``weights="local"`` takes
each patch's own gradient instead of the mean (HiResCAM, Draelos and Carin 2020, arXiv 2011.08891): a patch token's
channels do not mean the same everywhere, as a convolution's do. On phantoms the mean points no better than chance and
the local weights worse than a plain gradient; both are here for comparison with the literature.

The language model can be asked too, at its image positions; but what its *last* layer puts out there is read by
nothing: the words are predicted from text positions alone, so the gradient there is exactly zero. The usual advice
"Grad-CAM at the final layer" is therefore refused there, and no map is drawn from zeros. The vision tower's last layer
does reach the words; but its output is normalised next, which ignores a patch's length, so that each patch's own
gradient is perpendicular to its activation: ``weights="local"`` has nothing but round-off to show there, and none is
shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast, get_args

import torch
from torch.nn import functional

from radiolucent.attribution.gradients import (
    UNITS,
    Gradients,
    Score,
    picture_gradients,
    sensitivity_maps,
    target_gradients,
    through_vision,
)
from radiolucent.attribution.maps import EmptyMap
from radiolucent.attribution.method import Made, Passes, describe, only
from radiolucent.attribution.model import ExplainableModel
from radiolucent.attribution.targets import soft_rows
from radiolucent.attribution.types import AttributionMap
from radiolucent.errors import MalformedInput
from radiolucent.vlm.gemma3 import Gemma3Model
from radiolucent.vlm.layers import language_layers, layer_at, vision_layers
from radiolucent.vlm.types import Features, Generation, Target

Tower = Literal["vision", "language"]
Weights = Literal["mean", "local"]
RESOLVED = 2.0  # a patch's value below so many rounding errors of the terms it sums is none


class ZeroGradient(EmptyMap):
    """The words' gradient at the chosen layer is exactly zero: nothing that leaves it there reaches the words."""


def grad_cam(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    target: Target,
    *,
    layer: int | Literal["middle"] = "middle",
    tower: Tower = "vision",
    weights: Weights = "mean",
    relu: bool = True,
    score: Score = "logprob",
    gradients: Gradients | None = None,
) -> AttributionMap:
    """Activations weighted by the target's gradient at one layer, on the token grid; nats (or logits).

    Parameters
    ----------
    layer
        Index from 0, negative from the end, or ``middle``.
    tower
        ``vision``, or ``language`` for the language model's layers at the image positions.
    weights
        ``mean`` (each channel's gradient, averaged over the picture) or ``local`` (each patch's own).
    relu
        True: negative values are set to 0, as in the paper; False: signed.
    score
        ``logprob`` or ``logit``; see :func:`radiolucent.attribution.gradients.target_gradients`.
    gradients
        Taken already of the same targets and score, see :func:`radiolucent.attribution.gradients.picture_gradients`.

    Raises
    ------
    ZeroGradient
        Where the gradient at the layer is exactly zero: always at the language model's last layer.
    MalformedInput
        Where an option is unknown or there is no such layer.
    """
    return only(
        grad_cams(
            model,
            features,
            generation,
            [target],
            layer=layer,
            tower=tower,
            weights=weights,
            relu=relu,
            score=score,
            gradients=gradients,
        )
    )


def grad_cams(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    targets: Sequence[Target],
    *,
    layer: int | Literal["middle"] = "middle",
    tower: Tower = "vision",
    weights: Weights = "mean",
    relu: bool = True,
    score: Score = "logprob",
    gradients: Gradients | None = None,
) -> list[Made]:
    """The maps of several targets: one pass and one encode of each image for all; passes are those of all."""
    if weights not in get_args(Weights):
        raise MalformedInput(f"The weights {weights!r} are unknown; use 'mean' or 'local'.")
    index = _layer(model, tower, layer)
    if tower == "vision":
        found = picture_gradients(model, features, generation, targets, score=score, gradients=gradients)
    elif gradients is None:
        found = target_gradients(model, generation, soft_rows(features), targets, score=score, layer=index)
    else:
        raise MalformedInput("Gradients at the soft tokens say nothing of a language layer; leave them out.")
    if found.states is not None:
        cells = features.soft_tokens.shape[1]
        states, carried = torch.split(found.states[0], cells), torch.split(found.values[:, 0], cells, dim=1)
        opened = list(zip(states, carried, strict=True))
    else:
        opened = list(through_vision(model, features, found.values[:, 0], layer=index))
    gradients_found = [any(bool(one[number].any()) for _, one in opened) for number in range(len(targets))]
    terms = [_terms(state, gradient, weights) for state, gradient in opened]
    cams = torch.stack([one.sum(dim=-1) for one in terms], dim=1)
    summed = torch.stack([one.abs().sum(dim=-1) for one in terms], dim=1)
    noise = RESOLVED * torch.finfo(features.soft_tokens.dtype).eps * summed.amax(dim=(1, 2))
    values = [_on_grid(cam.clamp(min=0) if relu else cam, features) for cam in cams]
    made = sensitivity_maps(
        values,
        features,
        targets,
        method="grad_cam",
        units=UNITS[score],
        forwards=found.forwards,
        backwards=found.backwards,
        noise=noise.tolist(),
    )
    return [
        one if reached else _zero(model, target, tower, index)
        for one, target, reached in zip(made, targets, gradients_found, strict=True)
    ]


def _layer(model: ExplainableModel, tower: Tower, layer: int | Literal["middle"]) -> int:
    """The layer's index from the front."""
    opened = cast(Gemma3Model, model)
    if tower not in get_args(Tower):
        raise MalformedInput(f"The tower {tower!r} is unknown; use 'vision' or 'language'.")
    found = vision_layers(opened) if tower == "vision" else language_layers(opened)
    if isinstance(layer, str):
        if layer != "middle":
            raise MalformedInput(
                f"The layer {layer!r} is unknown; use 'middle' or an index from 0 to {len(found) - 1}."
            )
        return (len(found) - 1) // 2
    return layer_at(found, layer)[0]


def _terms(states: torch.Tensor, gradients: torch.Tensor, weights: Weights) -> torch.Tensor:
    """What a patch is the sum of: (patches, width) and (targets, patches, width) -> (targets, patches, width)."""
    if weights == "mean":
        gradients = gradients.mean(dim=1, keepdim=True)
    return gradients * states


def _on_grid(cam: torch.Tensor, features: Features) -> torch.Tensor:
    """(images, patches) -> (images, grid, grid), each cell the mean of its patches."""
    grid = features.geometries[0].grid
    edge = round(cam.shape[1] ** 0.5)
    if edge**2 != cam.shape[1] or edge % grid:
        raise MalformedInput(f"The layer puts out {cam.shape[1]} patches, which do not tile a grid of {grid}.")
    return functional.avg_pool2d(cam.reshape(len(cam), 1, edge, edge), edge // grid)[:, 0]


def _zero(model: ExplainableModel, target: Target, tower: Tower, index: int) -> ZeroGradient:
    last = len(language_layers(cast(Gemma3Model, model))) - 1
    why = (
        "What the language model's last layer puts out at the image positions is read by nothing: the words are "
        "predicted from text positions alone. Choose an earlier layer, or tower='vision'."
        if tower == "language" and index == last
        else "The words do not depend on what this layer puts out there."
    )
    return ZeroGradient(
        f"grad_cam of {target.label!r}: the gradient at layer {index} of the {tower} tower is exactly zero at every "
        f"image position. {why} That shows no region and does not mean that a finding is absent."
    )


METHOD = describe(
    grad_cam,
    claim="sensitive",
    en="Channels of a middle vision layer, weighted by the gradient of the words' log-probability (Grad-CAM).",
    zh="视觉编码器中间层的通道，按文字对数概率的梯度加权（Grad-CAM）。",
    cost="1 forward and 1 image encode for all targets, 1 backward pass through the language model and half of it each",
    citation="Selvaraju et al. 2017, arXiv 1610.02391; local weights: Draelos and Carin 2020, arXiv 2011.08891",
    passes=lambda size: Passes(1, size.targets, size.images, size.images * size.targets / 2),
    many=grad_cams,
    variants={"local": {"weights": "local"}},
)
