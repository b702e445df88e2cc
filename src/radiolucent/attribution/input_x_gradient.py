"""The signed first-order effect of each soft image token: (token - baseline) . gradient.

Shrikumar et al. 2016, arXiv 1605.01713.
"""

from __future__ import annotations

from typing import Literal

import torch

from radiolucent.attribution.fills import Fill, soft_fill
from radiolucent.attribution.maps import finished
from radiolucent.attribution.method import Passes, describe
from radiolucent.attribution.model import ExplainableModel
from radiolucent.attribution.saliency import token_gradient
from radiolucent.attribution.targets import passes, soft_rows
from radiolucent.attribution.types import AttributionMap
from radiolucent.vlm.types import Features, Generation, Target

Baseline = Literal["zero"] | Fill


def input_x_gradient(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    target: Target,
    *,
    baseline: Baseline = "zero",
) -> AttributionMap:
    """(token - baseline) . gradient, signed, in nats: what replacing the token would cost to first order.

    Parameters
    ----------
    baseline
        ``zero``, or the fill that the ablation of the same name uses: ``mean`` or ``blank``.
    """
    rows = soft_rows(features)
    gradient = token_gradient(model, generation, rows, target)
    difference = rows - path_start(model, features, baseline)
    return finished(
        (difference * gradient)[0].sum(dim=-1).cpu().numpy(),
        features,
        claim="sensitive",
        method="input_x_gradient",
        target=target,
        units="nats",
        forwards=passes([target]),
        backwards=1,
    )


def path_start(model: ExplainableModel, features: Features, baseline: Baseline) -> torch.Tensor:
    """The baseline row, broadcastable to (1, images * cells, hidden)."""
    if baseline == "zero":
        return torch.zeros_like(soft_rows(features))
    return soft_fill(model, features, baseline)


METHOD = describe(
    input_x_gradient,
    claim="sensitive",
    en="Signed first-order effect of each cell's soft token on the words' log-probability.",
    zh="每个图像软标记对文字对数概率的一阶影响（有符号）。",
    cost="1 forward and 1 backward pass",
    citation="Shrikumar et al. 2016, arXiv 1605.01713",
    passes=lambda size: Passes(replays=size.targets, backwards=size.targets),
    variants={"mean": {"baseline": "mean"}},
)
