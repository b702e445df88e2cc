"""Sensitivity that survives noise: the mean gradient over noisy copies of the soft tokens, and its length in each cell.

A single gradient says what an infinitesimal change would do, and fluctuates from one token vector to the next; averaged
over a neighbourhood it keeps what the neighbours agree on. Smilkov et al. 2017, arXiv 1706.03825.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from radiolucent.attribution.gradients import UNITS, Score, checked_score, sensitivity_maps, target_gradients
from radiolucent.attribution.method import Made, Passes, describe, only
from radiolucent.attribution.model import ExplainableModel
from radiolucent.attribution.saliency import Norm, checked_norm, lengths
from radiolucent.attribution.targets import soft_rows
from radiolucent.attribution.types import AttributionMap
from radiolucent.errors import MalformedInput
from radiolucent.vlm.types import Features, Generation, Target

COPIES = 8
# Of the tokens' standard deviation: a tenth of their range (6.4 to 7.1 of them on phantoms), the paper's lower choice.
NOISE = 0.6


def smooth_grad(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    target: Target,
    *,
    copies: int = COPIES,
    noise: float = NOISE,
    score: Score = "logprob",
    norm: Norm = "l2",
    seed: int = 0,
    batch: int = 4,
) -> AttributionMap:
    """Length of the target's mean gradient over noisy copies, at each soft token; never negative.

    Parameters
    ----------
    copies
        Noisy copies of the picture's soft tokens.
    noise
        Standard deviation of the normal noise, as a share of the standard deviation of each image's soft tokens.
    score
        ``logprob`` or ``logit``; see :func:`radiolucent.attribution.gradients.target_gradients`.
    norm
        Of the mean gradient: ``l2``, ``l1`` or ``max`` over the token's channels.
    seed
        Of the noise; the same whatever the batch and the device.
    batch
        Copies taken in one pass.
    """
    return only(
        smooth_grads(
            model,
            features,
            generation,
            [target],
            copies=copies,
            noise=noise,
            score=score,
            norm=norm,
            seed=seed,
            batch=batch,
        )
    )


def smooth_grads(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    targets: Sequence[Target],
    *,
    copies: int = COPIES,
    noise: float = NOISE,
    score: Score = "logprob",
    norm: Norm = "l2",
    seed: int = 0,
    batch: int = 4,
) -> list[Made]:
    """The maps of several targets from the same noisy copies; each map's passes are those of all."""
    if copies < 1 or batch < 1:
        raise MalformedInput(f"copies={copies}, batch={batch}: both must be at least 1.")
    if not 0 < noise < float("inf"):
        raise MalformedInput(f"noise={noise}: expected a share above 0; for no noise use saliency.")
    checked_norm(norm)
    rows = soft_rows(features)
    spread = (noise * _token_spread(rows, images=len(features.geometries))).cpu()
    draws = torch.Generator().manual_seed(seed)
    total = rows.new_zeros(len(targets), *rows.shape[1:])
    forwards = backwards = 0
    for first in range(0, copies, batch):
        drawn = [
            torch.randn(rows.shape[1:], generator=draws, dtype=rows.dtype)
            for _ in range(first, min(first + batch, copies))
        ]
        noisy = rows + (torch.stack(drawn) * spread).to(rows)
        found = target_gradients(model, generation, noisy, targets, score=checked_score(score))
        total += found.values.sum(dim=1)
        forwards, backwards = forwards + found.forwards, backwards + found.backwards
    return sensitivity_maps(
        lengths(total / copies, norm),
        features,
        targets,
        method="smooth_grad",
        units=f"{UNITS[score]} per unit of token",
        forwards=forwards,
        backwards=backwards,
    )


def _token_spread(rows: torch.Tensor, images: int) -> torch.Tensor:
    """Standard deviation of each image's soft tokens, at every one of its cells: (images * cells, 1)."""
    by_image = rows.reshape(images, -1)
    return by_image.std(dim=1, correction=0).repeat_interleave(rows.shape[1] // images)[:, None]


METHOD = describe(
    smooth_grad,
    claim="sensitive",
    en="Mean gradient of the words' log-probability over noisy copies of the soft tokens: its length in each cell.",
    zh="对软标记加噪后，文字对数概率的平均梯度在每格的长度。",
    cost=f"{COPIES} forwards for all targets, {COPIES} backward passes each, batched",
    citation="Smilkov et al. 2017, arXiv 1706.03825",
    passes=lambda size: Passes(replays=COPIES, backwards=COPIES * size.targets),
    many=smooth_grads,
)
