"""Attention rollout under the pass's true masks: for comparison with the literature, short prompts only.

Each layer's map, averaged over heads, is mixed with the identity (the residual connection) and the layers are
multiplied, the first layer's first: row *i* of the product says how much of each position has flowed into position
*i* after the last layer, if attention were all that moves it. The row read is the predicting one, *p - 1* for token
*p*, averaged over the span. Images attend to themselves in both directions and sliding layers see their window only,
because the maps are those of the very pass (:mod:`radiolucent.vlm.full_attention`).

Rollout ignores values, norms and feed-forward blocks, is the same for every word that a row could predict, and in a
causal decoder it collects on the first positions: read it beside other maps, not instead of them.
Abnar and Zuidema 2020, arXiv 2005.00928.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from radiolucent.attribution.attention import chosen_heads, contrast, shared_row
from radiolucent.attribution.maps import finished_or_empty
from radiolucent.attribution.method import Made, Passes, describe, only
from radiolucent.attribution.model import ExplainableModel
from radiolucent.attribution.types import AttributionMap
from radiolucent.errors import MalformedInput
from radiolucent.vlm.full_attention import mean_attention_maps
from radiolucent.vlm.gemma3 import Gemma3Model
from radiolucent.vlm.types import Features, Generation, Target

RESIDUAL = 0.5  # of Abnar and Zuidema, section 3


def rollout(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    target: Target,
    *,
    heads: Sequence[int] | None = None,
    residual: float = RESIDUAL,
) -> AttributionMap:
    """Share of each image cell in the predicting rows after all layers; less the foil's rows where there is a foil.

    Parameters
    ----------
    heads
        Head indices averaged in each layer; all where None.
    residual
        Share of the residual connection in each layer, in [0, 1).

    Raises
    ------
    InsufficientMemory
        Where the full maps of all layers would not fit.
    """
    return only(rollouts(model, features, generation, [target], heads=heads, residual=residual))


def rollouts(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    targets: Sequence[Target],
    *,
    heads: Sequence[int] | None = None,
    residual: float = RESIDUAL,
) -> list[Made]:
    """The maps of several targets from one pass, and one more for each distinct foil."""
    if not 0 <= residual < 1:
        raise MalformedInput(f"residual={residual} leaves no attention to roll out; use a share from 0 up to below 1.")
    opened = cast(Gemma3Model, model)
    heads = chosen_heads(heads, opened.module.config.text_config.num_attention_heads)
    prompt = len(generation.prompt_inputs.input_ids)
    cells = [place for first, last in generation.image_spans for place in range(first, last)]
    forwards = 0

    def rolled(token_ids: NDArray[np.int64], spans: Sequence[tuple[int, int]]) -> NDArray[np.float64]:
        """(spans, images * cells) of one text."""
        nonlocal forwards
        forwards += 1
        ids = torch.as_tensor(token_ids[: max(last for _, last in spans)])
        maps = mean_attention_maps(opened, generation.prompt_inputs, ids, features.soft_tokens, heads=heads)
        starts = maps.new_zeros(len(spans), maps.shape[-1])
        for row, (first, last) in zip(starts, spans, strict=True):
            row[prompt + first - 1 : prompt + last - 1] = 1 / (last - first)
        flowed: NDArray[np.float64] = rolled_rows(maps, starts, residual)[:, cells].double().cpu().numpy()
        return flowed

    kept = [target for target in targets if shared_row(target) is None]
    own = dict(zip(kept, rolled(generation.token_ids, [one.tokens for one in kept]), strict=True)) if kept else {}
    foils: dict[tuple[int, tuple[int, ...]], NDArray[np.float64]] = {}
    for target in kept:
        if target.foil is not None and (target.tokens[0], target.foil) not in foils:
            first, foil = target.tokens[0], target.foil
            ids = np.concatenate([generation.token_ids[:first], np.asarray(foil, dtype=np.int64)])
            foils[first, foil] = rolled(ids, [(first, len(ids))])[0]
    return [
        shared_row(target)
        or finished_or_empty(
            contrast([own[target], *([] if target.foil is None else [foils[target.tokens[0], target.foil]])]),
            features,
            claim="attended",
            method="rollout",
            target=target,
            units="share",
            forwards=forwards,
        )
        for target in targets
    ]


def rolled_rows(maps: torch.Tensor, starts: torch.Tensor, residual: float) -> torch.Tensor:
    """Rows of the product of all layers: (rows, positions).

    A row of the product is taken through the layers from the last to the first, which is the product with the first
    layer applied first, without a positions x positions x positions multiplication.

    Parameters
    ----------
    maps
        (layers, positions, positions), rows adding to 1, first layer first.
    starts
        (rows, positions): weights of the positions that each row reads, adding to 1.
    """
    rows = starts
    for layer in reversed(maps):
        rows = residual * rows + (1 - residual) * (rows @ layer)
    return rows


METHOD = describe(
    rollout,
    claim="attended",
    en="Attention multiplied through all layers with the residual connection (rollout), for comparison.",
    zh="将各层注意力连同残差逐层相乘（rollout），供对照。",
    cost="1 forward pass for all targets; full maps, so short prompts only",
    citation="Abnar and Zuidema 2020, arXiv 2005.00928",
    passes=lambda size: Passes(replays=1),
    many=rollouts,
)
