"""Gradients integrated along the straight path from a baseline to the picture's soft tokens, times the path.

The values add to the target's change between baseline and picture (completeness), the better the more points are
taken. Sundararajan et al. 2017, arXiv 1703.01365.
"""

from __future__ import annotations

import numpy as np
import torch

from radiolucent.attribution.input_x_gradient import Baseline, path_start
from radiolucent.attribution.maps import finished
from radiolucent.attribution.method import Passes, describe
from radiolucent.attribution.model import ExplainableModel
from radiolucent.attribution.saliency import token_gradient
from radiolucent.attribution.targets import passes, soft_rows
from radiolucent.attribution.types import AttributionMap
from radiolucent.errors import MalformedInput
from radiolucent.vlm.types import Features, Generation, Target


def integrated_gradients(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    target: Target,
    *,
    baseline: Baseline = "mean",
    steps: int = 16,
    batch: int = 4,
) -> AttributionMap:
    """Gradients integrated along the straight path from the baseline (Gauss-Legendre), times the path; in nats.

    Parameters
    ----------
    steps
        Points on the path; the values add to the target's change between baseline and picture as they grow.
    batch
        Points taken in one pass.
    """
    if steps < 1 or batch < 1:
        raise MalformedInput(f"steps={steps}, batch={batch}: both must be at least 1.")
    rows = soft_rows(features)
    start = path_start(model, features, baseline).expand_as(rows)
    nodes, weights = _gauss_legendre(steps, rows)
    total = torch.zeros_like(rows)
    for some_nodes, some_weights in zip(torch.split(nodes, batch), torch.split(weights, batch), strict=True):
        path = start + some_nodes[:, None, None] * (rows - start)
        gradient = token_gradient(model, generation, path, target)
        total += (some_weights[:, None, None] * gradient).sum(dim=0, keepdim=True)
    return finished(
        (total * (rows - start))[0].sum(dim=-1).cpu().numpy(),
        features,
        claim="sensitive",
        method="integrated_gradients",
        target=target,
        units="nats",
        forwards=steps * passes([target]),
        backwards=steps,
    )


def _gauss_legendre(steps: int, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Nodes in (0, 1) and weights that add to 1."""
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    return like.new_tensor((nodes + 1) / 2), like.new_tensor(weights / 2)


METHOD = describe(
    integrated_gradients,
    claim="sensitive",
    en="Gradients integrated from the mean token to the picture's; the values add to the words' change.",
    zh="从平均标记到图像标记的路径积分梯度；各值之和等于文字得分的变化。",
    cost="16 forward and 16 backward passes, batched",
    citation="Sundararajan et al. 2017, arXiv 1703.01365",
    passes=lambda size: Passes(replays=16 * size.targets, backwards=16 * size.targets),
)
