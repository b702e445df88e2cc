"""How sensitive the words' score is to each soft image token: the length of the gradient there.

The soft tokens are where the picture enters the language model; a gradient taken there avoids the vision tower, whose
gradients shatter. Simonyan et al. 2014, arXiv 1312.6034.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch

from radiolucent.attribution.gradients import UNITS, Gradients, Score, picture_gradients, sensitivity_maps
from radiolucent.attribution.method import Made, Passes, describe, only
from radiolucent.attribution.model import ExplainableModel
from radiolucent.attribution.types import AttributionMap
from radiolucent.errors import MalformedInput
from radiolucent.vlm.types import Features, Generation, Target

Norm = Literal["l2", "l1", "max"]
ORDERS = {"l2": 2.0, "l1": 1.0, "max": float("inf")}


def saliency(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    target: Target,
    *,
    score: Score = "logprob",
    norm: Norm = "l2",
    gradients: Gradients | None = None,
) -> AttributionMap:
    """Length of the target's gradient at each soft token; never negative. Nats (or logits) per unit of token.

    Parameters
    ----------
    score
        ``logprob`` or ``logit``; see :func:`radiolucent.attribution.gradients.target_gradients`.
    norm
        ``l2`` (Euclidean), ``l1`` or ``max`` over the token's channels.
    gradients
        Taken already of the same targets and score, see :func:`radiolucent.attribution.gradients.picture_gradients`.
    """
    return only(saliencies(model, features, generation, [target], score=score, norm=norm, gradients=gradients))


def saliencies(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    targets: Sequence[Target],
    *,
    score: Score = "logprob",
    norm: Norm = "l2",
    gradients: Gradients | None = None,
) -> list[Made]:
    """The maps of several targets from one shared pass; each map's passes are those of all."""
    checked_norm(norm)
    found = picture_gradients(model, features, generation, targets, score=score, gradients=gradients)
    return sensitivity_maps(
        lengths(found.values[:, 0], norm),
        features,
        targets,
        method="saliency",
        units=f"{UNITS[score]} per unit of token",
        forwards=found.forwards,
        backwards=found.backwards,
    )


def lengths(gradients: torch.Tensor, norm: Norm) -> torch.Tensor:
    """Length of each token's gradient, (..., hidden) -> (...)."""
    found: torch.Tensor = torch.linalg.vector_norm(gradients, ord=ORDERS[checked_norm(norm)], dim=-1)
    return found


def checked_norm(norm: Norm) -> Norm:
    """The norm's name, refused where it is unknown."""
    if norm not in get_args(Norm):
        raise MalformedInput(f"The norm {norm!r} is unknown; use 'l2', 'l1' or 'max'.")
    return norm


METHOD = describe(
    saliency,
    claim="sensitive",
    en="Length of the gradient of the words' log-probability at each cell's soft token.",
    zh="文字对数概率在每个图像软标记处的梯度长度。",
    cost="1 forward for all targets, 1 backward pass each",
    citation="Simonyan et al. 2014, arXiv 1312.6034",
    passes=lambda size: Passes(replays=1, backwards=size.targets),
    many=saliencies,
)
