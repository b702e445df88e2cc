"""Gradient-weighted attention carried through the layers (Chefer et al.): for comparison, short prompts only.

In each layer the attention maps are multiplied by the gradient of the target's score with respect to them, negative
products dropped, heads averaged; relevance starts as the identity and takes in one layer after the other, the first
layer first: R <- R + map R. Read at the predicting rows, *p - 1* for token *p*, averaged over the span.

The score is log p of the span, less log p of the foil. The foil is another text: its gradient is taken in a pass of its
own, at the rows that both texts share (prompt, and answer up to where they part, the first predicting row included),
whose maps are the same in both. So span and foil of one token each are told apart here, which bare attention cannot.

Equation 5 and 6 of Chefer et al. 2021, arXiv 2103.15679, for a decoder alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch

from radiolucent.attribution.maps import finished_or_empty
from radiolucent.attribution.method import Made, Passes, describe, only
from radiolucent.attribution.model import ExplainableModel
from radiolucent.attribution.types import AttributionMap
from radiolucent.errors import MalformedInput
from radiolucent.vlm.full_attention import open_pass
from radiolucent.vlm.gemma3 import Gemma3Model
from radiolucent.vlm.types import Features, Generation, Target


def relevance(model: ExplainableModel, features: Features, generation: Generation, target: Target) -> AttributionMap:
    """Relevance of each image cell to the predicting rows; never negative.

    Raises
    ------
    InsufficientMemory
        Where the maps and their gradients would not fit.
    """
    return only(relevances(model, features, generation, [target]))


def relevances(
    model: ExplainableModel, features: Features, generation: Generation, targets: Sequence[Target]
) -> list[Made]:
    """The maps of several targets: one forward for all, one backward each; a distinct foil costs one more of both."""
    if not targets:
        raise MalformedInput("No target was given; there is nothing to explain.")
    opened = cast(Gemma3Model, model)
    inputs, written = generation.prompt_inputs, torch.as_tensor(generation.token_ids)
    prompt = len(inputs.input_ids)
    foils: dict[tuple[int, tuple[int, ...]], list[torch.Tensor]] = {}
    for target in targets:  # before the span's graph is built, so that one graph stands in memory at a time
        first = target.tokens[0]
        if target.foil is not None and (first, target.foil) not in foils:
            ids = torch.cat([written[:first], torch.as_tensor(target.foil)])
            read = open_pass(opened, inputs, ids, features.soft_tokens, range(first, len(ids)))
            shared = prompt + first
            gradients = read.gradients(read.logprobs.sum(), keep=False)
            foils[first, target.foil] = [one[0, :, :shared, :shared].clone() for one in gradients]
    wanted = sorted({token for target in targets for token in range(*target.tokens)})
    own = open_pass(opened, inputs, written, features.soft_tokens, wanted)
    cells = [place for first, last in generation.image_spans for place in range(first, last)]
    values = []
    for number, target in enumerate(targets):
        first, last = target.tokens
        score = own.logprobs[[wanted.index(token) for token in range(first, last)]].sum()
        foil = None if target.foil is None else foils[first, target.foil]
        weighted = []
        for layer, gradient in enumerate(own.gradients(score, keep=number < len(targets) - 1)):
            slope = gradient[0].float()
            if foil is not None:
                shared = foil[layer].shape[-1]
                slope[:, :shared, :shared] -= foil[layer].float()
            weighted.append((slope * own.maps[layer].detach()[0].float()).clamp(min=0).mean(0))
        start = weighted[0].new_zeros(len(weighted[0]))
        start[prompt + first - 1 : prompt + last - 1] = 1 / (last - first)
        values.append(relevant_row(weighted, start)[cells].double().cpu().numpy())
    return [
        finished_or_empty(
            np.asarray(one),
            features,
            claim="attended",
            method="relevance",
            target=target,
            units="relevance",
            forwards=1 + len(foils),
            backwards=len(targets) + len(foils),
        )
        for one, target in zip(values, targets, strict=True)
    ]


def relevant_row(weighted: Sequence[torch.Tensor], start: torch.Tensor) -> torch.Tensor:
    """A row of the product of (identity + map) over all layers, the first layer's first: (positions,).

    Parameters
    ----------
    weighted
        For each layer (positions, positions), first layer first.
    start
        (positions,): weights of the positions that the row reads.
    """
    row = start
    for layer in reversed(weighted):
        row = row + row @ layer
    return row


METHOD = describe(
    relevance,
    claim="attended",
    en="Attention weighted by the gradient of the words' log-probability, through all layers (Chefer), for comparison.",
    zh="按文字对数概率的梯度加权的注意力，逐层传播（Chefer），供对照。",
    cost="1 forward for all targets, 1 backward pass each; full maps, so short prompts only",
    citation="Chefer et al. 2021, arXiv 2103.15679",
    passes=lambda size: Passes(replays=1, backwards=size.targets),
    many=relevances,
)
