"""Gradients integrated along the straight path from a baseline to the picture's soft tokens, times the path.

The values add to the score's change between baseline and picture (completeness), the better the more points are
taken. That is checked for every map, and the map says what the check found. Sundararajan et al. 2017, arXiv
1703.01365.

Words are written or not: along the path their score stays flat, climbs within a short stretch, and is flat again at the
picture, where the gradient alone has faded. The path finds the climb, which is why these maps point better than a
gradient at the picture, and why few steps can miss part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from radiolucent.attribution.gradients import (
    UNITS,
    Score,
    checked_score,
    sensitivity_maps,
    target_gradients,
    target_values,
)
from radiolucent.attribution.input_x_gradient import Baseline, path_start
from radiolucent.attribution.method import Made, Passes, describe, only
from radiolucent.attribution.model import ExplainableModel
from radiolucent.attribution.targets import passes, soft_rows
from radiolucent.attribution.types import AttributionMap
from radiolucent.errors import MalformedInput
from radiolucent.vlm.types import Features, Generation, Target

STEPS = 16
COMPLETE = 0.05  # largest share of the change that may be missing (Sundararajan et al., section 5)
SMALLEST_CHANGE = 0.1  # nats; shares of a smaller change would say nothing


def integrated_gradients(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    target: Target,
    *,
    baseline: Baseline = "mean",
    steps: int = STEPS,
    batch: int = 4,
    score: Score = "logprob",
) -> AttributionMap:
    """Gradients integrated along the straight path from the baseline (Gauss-Legendre), times the path; in nats.

    The map's ``note`` holds the completeness check: the values' sum, the score's change, and the gap between them.

    Parameters
    ----------
    baseline
        Where the path starts: ``zero``, or the fill that the ablation of the same name uses (``mean``, ``blank``).
    steps
        Points on the path; the values add to the target's change between baseline and picture as they grow.
    batch
        Points taken in one pass.
    score
        ``logprob`` or ``logit``; see :func:`radiolucent.attribution.gradients.target_gradients`.
    """
    return only(
        many_integrated_gradients(
            model, features, generation, [target], baseline=baseline, steps=steps, batch=batch, score=score
        )
    )


def many_integrated_gradients(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    targets: Sequence[Target],
    *,
    baseline: Baseline = "mean",
    steps: int = STEPS,
    batch: int = 4,
    score: Score = "logprob",
) -> list[Made]:
    """The maps of several targets along the same path, its passes shared; each map's passes are those of all."""
    if steps < 1 or batch < 1:
        raise MalformedInput(f"steps={steps}, batch={batch}: both must be at least 1.")
    rows = soft_rows(features)
    start = path_start(model, features, baseline)
    ends = target_values(model, generation, torch.cat([start, rows]), targets, score=checked_score(score))
    nodes, weights = _gauss_legendre(steps, rows)
    total = rows.new_zeros(len(targets), *rows.shape[1:])
    forwards, backwards = 2 * passes(targets), 0
    for some_nodes, some_weights in zip(torch.split(nodes, batch), torch.split(weights, batch), strict=True):
        path = start + some_nodes[:, None, None] * (rows - start)
        found = target_gradients(model, generation, path, targets, score=score)
        total += (some_weights[:, None, None] * found.values).sum(dim=1)
        forwards, backwards = forwards + found.forwards, backwards + found.backwards
    values = (total * (rows - start)).sum(dim=-1)
    maps = sensitivity_maps(
        values,
        features,
        targets,
        method="integrated_gradients",
        units=UNITS[score],
        forwards=forwards,
        backwards=backwards,
    )
    changes = ends[:, 1] - ends[:, 0]
    return [
        replace(made, note=completeness(float(made.values.sum(dtype=np.float64)), float(change), made.units, steps))
        if isinstance(made, AttributionMap)
        else made
        for made, change in zip(maps, changes, strict=True)
    ]


def completeness(added: float, change: float, units: str, steps: int) -> str:
    """What the completeness check found, one line in English and one in Chinese, with a warning where it failed.

    Parameters
    ----------
    added
        Sum of the map's values.
    change
        Score of the picture less score of the baseline, from passes of their own.
    units
        Of both.
    """
    gap = abs(added - change) / max(abs(change), SMALLEST_CHANGE)
    en = f"The values add to {added:+.3f} {units}; the words change by {change:+.3f} {units}: a gap of {gap:.1%}."
    zh = f"各值之和为 {added:+.3f} {units}，文字得分的变化为 {change:+.3f} {units}：相差 {gap:.1%}。"
    if gap > COMPLETE:
        en += f" Warning: more than {COMPLETE:.0%}; the map is incomplete, take more than {steps} steps."
        zh += f"警告：超过 {COMPLETE:.0%}，该图不完整，请取多于 {steps} 步。"
    return f"{en}\n{zh}"


def _gauss_legendre(steps: int, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Nodes in (0, 1) and weights that add to 1."""
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    return like.new_tensor((nodes + 1) / 2), like.new_tensor(weights / 2)


METHOD = describe(
    integrated_gradients,
    claim="sensitive",
    en="Gradients integrated from the mean token to the picture's; the values add to the words' change.",
    zh="从平均标记到图像标记的路径积分梯度；各值之和等于文字得分的变化。",
    cost=f"{STEPS + 2} forwards for all targets, {STEPS} backward passes each, batched",
    citation="Sundararajan et al. 2017, arXiv 1703.01365",
    passes=lambda size: Passes(replays=STEPS + 2, backwards=STEPS * size.targets),
    many=many_integrated_gradients,
    variants={"blank": {"baseline": "blank"}},
)
