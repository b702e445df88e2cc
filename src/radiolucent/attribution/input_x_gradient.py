"""The signed first-order effect of each soft image token: (token - baseline) . gradient.

Shrikumar et al. 2016, arXiv 1605.01713.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch

from radiolucent.attribution.fills import soft_fill
from radiolucent.attribution.gradients import UNITS, Gradients, Score, picture_gradients, sensitivity_maps
from radiolucent.attribution.method import Made, Passes, describe, only
from radiolucent.attribution.model import ExplainableModel
from radiolucent.attribution.targets import soft_rows
from radiolucent.attribution.types import AttributionMap
from radiolucent.errors import MalformedInput
from radiolucent.vlm.types import Features, Generation, Target

Baseline = Literal["zero", "mean", "blank"]


def input_x_gradient(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    target: Target,
    *,
    baseline: Baseline = "zero",
    score: Score = "logprob",
    gradients: Gradients | None = None,
) -> AttributionMap:
    """(token - baseline) . gradient, signed: what replacing the token would cost to first order. Nats (or logits).

    Parameters
    ----------
    baseline
        ``zero``, or the fill that the ablation of the same name uses: ``mean`` or ``blank``.
    score
        ``logprob`` or ``logit``; see :func:`radiolucent.attribution.gradients.target_gradients`.
    gradients
        Taken already of the same targets and score, see :func:`radiolucent.attribution.gradients.picture_gradients`.
    """
    return only(
        input_x_gradients(model, features, generation, [target], baseline=baseline, score=score, gradients=gradients)
    )


def input_x_gradients(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    targets: Sequence[Target],
    *,
    baseline: Baseline = "zero",
    score: Score = "logprob",
    gradients: Gradients | None = None,
) -> list[Made]:
    """The maps of several targets from one shared pass; each map's passes are those of all."""
    rows = soft_rows(features)
    difference = rows - path_start(model, features, baseline)
    found = picture_gradients(model, features, generation, targets, score=score, gradients=gradients)
    return sensitivity_maps(
        (difference * found.values[:, 0]).sum(dim=-1),
        features,
        targets,
        method="input_x_gradient",
        units=UNITS[score],
        forwards=found.forwards,
        backwards=found.backwards,
    )


def path_start(model: ExplainableModel, features: Features, baseline: Baseline) -> torch.Tensor:
    """The baseline as a row (1, images * cells, hidden).

    Raises
    ------
    MalformedInput
        Where the baseline is unknown.
    """
    if baseline == "zero":
        return torch.zeros_like(soft_rows(features))
    if baseline not in ("mean", "blank"):
        raise MalformedInput(f"The baseline {baseline!r} is unknown; use 'zero', 'mean' or 'blank'.")
    return soft_fill(model, features, baseline)


METHOD = describe(
    input_x_gradient,
    claim="sensitive",
    en="Signed first-order effect of each cell's soft token on the words' log-probability.",
    zh="每个图像软标记对文字对数概率的一阶影响（有符号）。",
    cost="1 forward for all targets, 1 backward pass each",
    citation="Shrikumar et al. 2016, arXiv 1605.01713",
    passes=lambda size: Passes(replays=1, backwards=size.targets),
    many=input_x_gradients,
    variants={"mean": {"baseline": "mean"}},
)
