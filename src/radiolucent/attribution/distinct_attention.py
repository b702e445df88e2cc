"""Where the model attended for these words more than for the rest of its answer. A hypothesis, not evidence.

Each layer and head is compared with itself: its weight on a cell in the rows that predicted the words, less its mean
weight on that cell in the rows that predicted everything else. What a head always looks at (attention sinks, the middle
of the film) cancels, and no second pass is needed. The square root of what is left keeps single loud heads from
speaking for all the others. The rest of the answer serves as the contrast that a blank picture serves elsewhere
(Xiao et al. 2024, arXiv 2309.17453 on sinks; Kang et al. 2025, arXiv 2503.03321 on sinks in images).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from radiolucent.attribution.attention import Layers, attention_rows, chosen_layers
from radiolucent.attribution.maps import finished_or_empty
from radiolucent.attribution.method import Made, Passes, describe, only
from radiolucent.attribution.model import ExplainableModel
from radiolucent.attribution.targets import resolve_target
from radiolucent.attribution.types import AttributionMap
from radiolucent.vlm.types import Features, Generation, Target


def distinct_attention(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    target: Target,
    *,
    layers: Layers = "all",
) -> AttributionMap:
    """Mean over layers, heads and predicting rows of sqrt(max(0, weight - the head's mean weight elsewhere)).

    A foil plays no part: the contrast is the rest of the answer. Where the words are all of the answer there is no
    rest, and the weight itself stands in its place.

    Parameters
    ----------
    layers
        As for :func:`radiolucent.attribution.attention.attention`.
    """
    return only(distinct_attentions(model, features, generation, [target], layers=layers))


def distinct_attentions(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    targets: Sequence[Target],
    *,
    layers: Layers = "all",
) -> list[Made]:
    """The maps of several targets from the same rows."""
    targets = [resolve_target(generation, target) for target in targets]
    rows, forwards = attention_rows(model, features, generation)
    chosen = chosen_layers(layers, rows.layer_types)
    return [
        finished_or_empty(
            np.mean([_excess(rows.image[layer], target.tokens) for layer in chosen], axis=0),
            features,
            claim="attended",
            method="distinct_attention",
            target=target,
            units="square root of attention",
            forwards=forwards,
        )
        for target in targets
    ]


def _excess(weights: NDArray[np.floating], span: tuple[int, int]) -> NDArray[np.float64]:
    """One layer's (heads, tokens, cells) -> (cells,)."""
    first, last = span
    of_words = weights[:, first:last].astype(np.float64)
    elsewhere = np.delete(weights, slice(first, last), axis=1).astype(np.float64)
    usual = elsewhere.mean(axis=1, keepdims=True) if elsewhere.shape[1] else 0.0
    excess: NDArray[np.float64] = np.sqrt(np.clip(of_words - usual, 0, None)).mean(axis=(0, 1))
    return excess


METHOD = describe(
    distinct_attention,
    claim="attended",
    en="Where the model attended for these words more than for the rest of its answer; a hypothesis, not evidence.",
    zh="模型生成这些文字时比生成其余文字时更多注意的位置；只是假设，不是依据。",
    cost="none where rows were kept while generating, else 1 forward pass",
    citation="contrast within one answer; sinks: Kang et al. 2025, arXiv 2503.03321",
    passes=lambda size: Passes(),
    many=distinct_attentions,
)
