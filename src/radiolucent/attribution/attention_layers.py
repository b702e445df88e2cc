"""Where the model attended, layer by layer: the panel of layers. Layers are neither time nor thought.

A layer whose sliding window has left every image behind gives the images no weight at all: its map is exactly 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from radiolucent.attribution.attention import Reduce, SharedRows, contrast, pooled, shared_row
from radiolucent.attribution.maps import EmptyMap, finished_or_empty
from radiolucent.attribution.method import Made, Passes, describe, only
from radiolucent.attribution.model import ExplainableModel
from radiolucent.attribution.types import AttributionMap
from radiolucent.vlm.types import Features, Generation, Target


def attention_layers(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    target: Target,
    *,
    heads: Sequence[int] | None = None,
    reduce: Reduce = "mean",
) -> AttributionMap:
    """Attention on each image cell in every layer: ``panel`` (layers, frames, g, g), and ``values`` their mean.

    Parameters
    ----------
    heads
        Head indices; all where None.
    reduce
        ``mean`` or ``max`` over the chosen heads.
    """
    return only(many_attention_layers(model, features, generation, [target], heads=heads, reduce=reduce))


def many_attention_layers(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    targets: Sequence[Target],
    *,
    heads: Sequence[int] | None = None,
    reduce: Reduce = "mean",
) -> list[Made]:
    """The panels of several targets, every text replayed at most once; each map's ``forwards`` are those of all."""
    rows = SharedRows(model, features, generation)
    panels = [
        shared_row(target)
        or contrast(
            [pooled(span, rows.layer_types, "all", heads, reduce, by_layer=True) for span in rows.spans(target)]
        )
        for target in targets
    ]
    return [
        panel if isinstance(panel, EmptyMap) else _panel_map(panel, features, target, rows.forwards)
        for panel, target in zip(panels, targets, strict=True)
    ]


def _panel_map(panel: NDArray[np.float64], features: Features, target: Target, forwards: int) -> Made:
    made = finished_or_empty(
        panel.mean(axis=0),
        features,
        claim="attended",
        method="attention_layers",
        target=target,
        units="attention",
        forwards=forwards,
    )
    if isinstance(made, EmptyMap):
        return made
    return replace(made, panel=panel.reshape(len(panel), *made.values.shape).astype(np.float32))


METHOD = describe(
    attention_layers,
    claim="attended",
    en="Where the model attended, layer by layer; layers are neither time nor thought.",
    zh="逐层显示模型注意的位置；层次既非时间也非思考过程。",
    cost="none where rows were kept while generating, else 1 forward pass",
    citation="Vaswani et al. 2017, arXiv 1706.03762",
    passes=lambda size: Passes(),
    many=many_attention_layers,
)
