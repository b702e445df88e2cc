"""Where the model attended when it wrote the words: rows of the predicting positions. A hypothesis, not evidence.

The row that predicted generated token *p* is position *p - 1*; rows are averaged over the span's tokens. The last
layer's mean, the usual tutorial choice, points no better than chance on phantoms, so the default averages all layers.
A contrast is the difference of two spans' maps, the foil's rows replayed; a span and a foil of one token each share
their only row, and such a map is refused as empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from radiolucent.attribution.maps import EmptyMap, finished
from radiolucent.attribution.method import Passes, describe
from radiolucent.attribution.model import ExplainableModel, blank_features
from radiolucent.attribution.types import AttributionMap
from radiolucent.errors import MalformedInput
from radiolucent.vlm.types import AttentionRows, Features, Generation, Target

Layers = Literal["all", "global", "sliding", "final"] | int | Sequence[int]
Reduce = Literal["mean", "max"]


def attention(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    target: Target,
    *,
    layers: Layers = "all",
    heads: Sequence[int] | None = None,
    reduce: Reduce = "mean",
    without_prior: bool = False,
) -> AttributionMap:
    """Attention weight on each image cell, averaged over the span's predicting rows.

    Parameters
    ----------
    layers
        ``all``, ``global``, ``sliding``, ``final``, one index or several; negative indices count from the end.
    heads
        Head indices; all where None.
    reduce
        ``mean`` or ``max`` over the chosen layers and heads.
    without_prior
        True: less the same map over a blank picture, which takes away positions that are attended whatever they show
        (attention sinks); one more replay, and values of both signs.
    """
    spans, types, forwards = _span_rows(model, features, generation, target)
    chosen = chosen_layers(layers, types)
    values = _contrast([_pool(span[chosen], heads, reduce, axes=(0, 1)) for span in spans])
    if without_prior:
        blank = blank_features(model, features)
        blank_spans, _, cost = _span_rows(model, blank, replace(generation, rows=None), target)
        values = values - _contrast([_pool(span[chosen], heads, reduce, axes=(0, 1)) for span in blank_spans])
        forwards += cost
    return finished(
        values,
        features,
        claim="attended",
        method="attention",
        target=target,
        units="attention",
        forwards=forwards,
    )


def attention_layers(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    target: Target,
    *,
    heads: Sequence[int] | None = None,
    reduce: Reduce = "mean",
) -> Mapping[int, AttributionMap]:
    """The same for every layer on its own: layer index -> map, the panel of layers.

    A layer that gives the images no weight at all (a sliding layer whose window has left them behind) has no map and
    is missing from the result.
    """
    spans, _, forwards = _span_rows(model, features, generation, target)
    panel = _contrast([_pool(span, heads, reduce, axes=(1,)) for span in spans])
    return {
        layer: finished(
            values,
            features,
            claim="attended",
            method=f"attention_layers[{layer}]",
            target=target,
            units="attention",
            forwards=forwards,
        )
        for layer, values in enumerate(panel)
        if values.any()
    }


def attention_rows(model: ExplainableModel, features: Features, generation: Generation) -> tuple[AttentionRows, int]:
    """The rows kept while generating, else those of one replay, and the passes that they cost."""
    if generation.rows is not None:
        return generation.rows, 0
    rows = model.replay(generation, features, capture=True).rows
    if rows is None:
        raise MalformedInput("The model's replay kept no attention rows; its adapter must capture them when asked.")
    return rows, 1


def chosen_layers(layers: Layers, layer_types: Sequence[str]) -> list[int]:
    """Indices of the layers that a choice names.

    Raises
    ------
    MalformedInput
        Where the choice names no layer of this model.
    """
    count = len(layer_types)
    if isinstance(layers, str):
        named = {
            "all": list(range(count)),
            "final": [count - 1],
            "global": [index for index, kind in enumerate(layer_types) if kind == "global"],
            "sliding": [index for index, kind in enumerate(layer_types) if kind == "sliding"],
        }.get(layers, [])
    else:
        wanted = [layers] if isinstance(layers, int) else list(layers)
        if any(not -count <= index < count for index in wanted):
            raise MalformedInput(f"Layers {wanted} are not all among this model's {count} layers (0 to {count - 1}).")
        named = sorted({index % count for index in wanted})
    if not named:
        raise MalformedInput(
            f"The choice of layers {layers!r} names none of this model's {count} layers; use 'all', 'global', "
            "'sliding', 'final', or indices."
        )
    return named


def _span_rows(
    model: ExplainableModel, features: Features, generation: Generation, target: Target
) -> tuple[list[NDArray[np.float64]], tuple[str, ...], int]:
    """For the span, and for its foil where there is one: (layers, heads, cells), averaged over predicting rows."""
    first, last = target.tokens
    rows, forwards = attention_rows(model, features, generation)
    spans = [rows.image[:, :, first:last].astype(np.float64).mean(axis=2)]
    if target.foil is not None:
        if last - first == len(target.foil) == 1:  # round-off would look like a map
            raise EmptyMap(
                f"{target.label!r} and its foil are one token each, predicted from the same row: attention cannot tell "
                "them apart. Use a gradient or an intervention, or a target without a foil."
            )
        contrasted = replace(
            generation,
            token_ids=np.concatenate([generation.token_ids[:first], np.asarray(target.foil, dtype=np.int64)]),
            rows=None,
        )
        foil_rows, cost = attention_rows(model, features, contrasted)
        spans.append(foil_rows.image[:, :, first:].astype(np.float64).mean(axis=2))
        forwards += cost
    return spans, rows.layer_types, forwards


def _pool(
    weights: NDArray[np.float64], heads: Sequence[int] | None, reduce: Reduce, *, axes: tuple[int, ...]
) -> NDArray[np.float64]:
    """Mean or maximum of (layers, heads, cells) over ``axes``."""
    count = weights.shape[1]
    if heads is not None:
        if not heads or any(not -count <= head < count for head in heads):
            raise MalformedInput(f"Heads {list(heads)} are not among this model's {count} heads (0 to {count - 1}).")
        weights = weights[:, list(heads)]
    if reduce not in ("mean", "max"):
        raise MalformedInput(f"reduce={reduce!r} is unknown; use 'mean' or 'max'.")
    pooled: NDArray[np.float64] = weights.mean(axis=axes) if reduce == "mean" else weights.max(axis=axes)
    return pooled


def _contrast(pooled: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    return pooled[0] if len(pooled) == 1 else pooled[0] - pooled[1]


METHOD = describe(
    attention,
    claim="attended",
    en="Where the model attended when it wrote the words; attention is a hypothesis, not evidence.",
    zh="模型生成文字时注意的位置；注意力只是假设，不是依据。",
    cost="none where rows were kept while generating, else 1 forward pass",
    citation="Vaswani et al. 2017, arXiv 1706.03762; limits: Jain and Wallace 2019, arXiv 1902.10186",
    passes=lambda size: Passes(),
    variants={
        "final": {"layers": "final"},
        "global": {"layers": "global"},
        "max": {"reduce": "max"},
        "corrected": {"without_prior": True},
    },
)
