"""How sensitive the words' probability is to each soft image token: the length of the gradient there.

The soft tokens are where the picture enters the language model; a gradient taken there avoids the vision tower, whose
gradients shatter. Simonyan et al. 2014, arXiv 1312.6034.
"""

from __future__ import annotations

import torch

from radiolucent.attribution.maps import finished
from radiolucent.attribution.method import Passes, describe
from radiolucent.attribution.model import ExplainableModel
from radiolucent.attribution.targets import passes, score_with_graph, soft_rows
from radiolucent.attribution.types import AttributionMap
from radiolucent.vlm.types import Features, Generation, Target


def saliency(model: ExplainableModel, features: Features, generation: Generation, target: Target) -> AttributionMap:
    """Euclidean length of the target's gradient at each soft token; never negative. Nats per unit of token."""
    gradient = token_gradient(model, generation, soft_rows(features), target)
    return finished(
        gradient[0].norm(dim=-1).cpu().numpy(),
        features,
        claim="sensitive",
        method="saliency",
        target=target,
        units="nats per unit of token",
        forwards=passes([target]),
        backwards=1,
    )


def token_gradient(model: ExplainableModel, generation: Generation, rows: torch.Tensor, target: Target) -> torch.Tensor:
    """Gradient of each row's own score with respect to the row, same shape as ``rows``."""
    leaf = rows.detach().clone().requires_grad_(True)
    score = score_with_graph(model, generation, leaf, target)
    (gradient,) = torch.autograd.grad(score.sum(), leaf)
    return gradient.detach()


METHOD = describe(
    saliency,
    claim="sensitive",
    en="Length of the gradient of the words' log-probability at each cell's soft token.",
    zh="文字对数概率在每个图像软标记处的梯度长度。",
    cost="1 forward and 1 backward pass",
    citation="Simonyan et al. 2014, arXiv 1312.6034",
    passes=lambda size: Passes(replays=size.targets, backwards=size.targets),
)
