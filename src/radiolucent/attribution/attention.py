"""Where the model attended when it wrote the words: rows of the predicting positions. A hypothesis, not evidence.

The row that predicted generated token *p* is position *p - 1*; rows are averaged over the span's tokens. The last
layer's mean, the usual tutorial choice, points worse on phantoms than the mean of all layers, which is the default.
A contrast is the difference of two spans' maps, the foil's rows replayed; a span and a foil of one token each share
their only row, and such a map is refused as empty.

Raw attention is the default. ``corrected`` takes out what does not depend on the picture, see
:mod:`radiolucent.attribution.attention_correction`; ``without_prior`` is its cheap relative, one blank picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from radiolucent.attribution.attention_correction import Correction
from radiolucent.attribution.maps import EmptyMap, finished_or_empty
from radiolucent.attribution.method import Made, Passes, describe, only
from radiolucent.attribution.model import ExplainableModel, blank_features
from radiolucent.attribution.types import AttributionMap
from radiolucent.errors import MalformedInput
from radiolucent.vlm.types import AttentionRows, Features, Generation, Target

Layers = Literal["all", "global", "sliding", "final"] | int | Sequence[int]
Reduce = Literal["mean", "max"]
PRIOR_FILMS = 16
ROUND_OFF = 1e-6  # of a share, in single precision


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
    corrected: bool = False,
    prior_films: int = PRIOR_FILMS,
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
    corrected
        True: weighted by what the cells carry, less the share that films without content draw, sinks filled in; see
        :mod:`radiolucent.attribution.attention_correction`. The map's note says what was removed.
    prior_films
        Films without content behind ``corrected``; each costs an image encode once for the model, and a pass once for
        the prompt.
    """
    return only(
        attentions(
            model,
            features,
            generation,
            [target],
            layers=layers,
            heads=heads,
            reduce=reduce,
            without_prior=without_prior,
            corrected=corrected,
            prior_films=prior_films,
        )
    )


def attentions(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    targets: Sequence[Target],
    *,
    layers: Layers = "all",
    heads: Sequence[int] | None = None,
    reduce: Reduce = "mean",
    without_prior: bool = False,
    corrected: bool = False,
    prior_films: int = PRIOR_FILMS,
) -> list[Made]:
    """The maps of several targets, every text replayed at most once; each map's ``forwards`` are those of all."""
    if corrected and without_prior:
        raise MalformedInput("corrected and without_prior are two forms of one correction; ask for one of them.")
    if corrected:
        return _corrected(model, features, generation, targets, layers, heads, reduce, prior_films)
    sources = [SharedRows(model, features, generation)]
    if without_prior:
        sources.append(SharedRows(model, blank_features(model, features), replace(generation, rows=None)))
    found = [
        shared_row(target)
        or contrast(
            [
                contrast([pooled(span, rows.layer_types, layers, heads, reduce) for span in rows.spans(target)])
                for rows in sources
            ]
        )
        for target in targets
    ]
    forwards = sum(rows.forwards for rows in sources)
    return [
        one
        if isinstance(one, EmptyMap)
        else finished_or_empty(
            one, features, claim="attended", method="attention", target=target, units="attention", forwards=forwards
        )
        for one, target in zip(found, targets, strict=True)
    ]


class SharedRows:
    """Attention rows of spans and foils about one picture: the answer read once, each distinct foil once.

    Attributes
    ----------
    forwards
        Passes run so far.
    """

    def __init__(self, model: ExplainableModel, features: Features, generation: Generation) -> None:
        self._model, self._features, self._generation = model, features, generation
        self._own, self.forwards = attention_rows(model, features, generation)
        self._foils: dict[tuple[int, tuple[int, ...]], AttentionRows] = {}

    @property
    def layer_types(self) -> tuple[str, ...]:
        """``global`` or ``sliding`` for each layer."""
        return self._own.layer_types

    def spans(self, target: Target) -> list[NDArray[np.float64]]:
        """For the span, and for its foil where there is one: (layers, heads, cells), averaged over predicting rows."""
        first, last = target.tokens
        spans = [self._own.image[:, :, first:last].astype(np.float64).mean(axis=2)]
        if target.foil is not None:
            spans.append(self._foil(first, target.foil).image[:, :, first:].astype(np.float64).mean(axis=2))
        return spans

    def _foil(self, first: int, foil: tuple[int, ...]) -> AttentionRows:
        if (first, foil) not in self._foils:
            ids = np.concatenate([self._generation.token_ids[:first], np.asarray(foil, dtype=np.int64)])
            contrasted = replace(self._generation, token_ids=ids, rows=None)
            self._foils[first, foil], cost = attention_rows(self._model, self._features, contrasted)
            self.forwards += cost
        return self._foils[first, foil]


def attention_rows(model: ExplainableModel, features: Features, generation: Generation) -> tuple[AttentionRows, int]:
    """The rows kept while generating, else those of one replay, and the passes that they cost."""
    if generation.rows is not None:
        return generation.rows, 0
    rows = model.replay(generation, features, capture=True).rows
    if rows is None:
        raise MalformedInput("The model's replay kept no attention rows; its adapter must capture them when asked.")
    return rows, 1


def shared_row(target: Target) -> EmptyMap | None:
    """Why attention has no contrast for a target: span and foil are one token each, predicted from the same row."""
    first, last = target.tokens
    if target.foil is None or not last - first == len(target.foil) == 1:
        return None
    return EmptyMap(  # round-off would look like a map
        f"{target.label!r} and its foil are one token each, predicted from the same row: attention cannot tell them "
        "apart. Use a gradient or an intervention, or a target without a foil."
    )


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


def chosen_heads(heads: Sequence[int] | None, count: int) -> list[int]:
    """Indices of the heads that a choice names; all where None."""
    if heads is None:
        return list(range(count))
    if not heads or any(not -count <= head < count for head in heads):
        raise MalformedInput(f"Heads {list(heads)} are not among this model's {count} heads (0 to {count - 1}).")
    return [head % count for head in heads]


def pooled(
    weights: NDArray[np.floating],
    layer_types: Sequence[str],
    layers: Layers,
    heads: Sequence[int] | None,
    reduce: Reduce,
    *,
    by_layer: bool = False,
) -> NDArray[np.float64]:
    """Mean or maximum of (layers, heads, cells) over the chosen layers and heads: (cells,), or (layers, cells)."""
    if reduce not in ("mean", "max"):
        raise MalformedInput(f"reduce={reduce!r} is unknown; use 'mean' or 'max'.")
    chosen = weights[chosen_layers(layers, layer_types)][:, chosen_heads(heads, weights.shape[1])].astype(np.float64)
    axes = 1 if by_layer else (0, 1)
    result: NDArray[np.float64] = chosen.mean(axis=axes) if reduce == "mean" else chosen.max(axis=axes)
    return result


def contrast(spans: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """The first, less the second where there is one."""
    return spans[0] if len(spans) == 1 else spans[0] - spans[1]


def _corrected(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    targets: Sequence[Target],
    layers: Layers,
    heads: Sequence[int] | None,
    reduce: Reduce,
    prior_films: int,
) -> list[Made]:
    layer_types = model.layer_types
    pool = partial(pooled, layer_types=layer_types, layers=layers, heads=heads, reduce=reduce)
    chosen_layers(layers, layer_types)
    correction = Correction(model, features, generation, targets, pool, prior_films)
    found = [shared_row(target) or correction.values(target) for target in targets]
    made: list[Made] = []
    for one, target in zip(found, targets, strict=True):
        if isinstance(one, EmptyMap):
            made.append(one)
            continue
        values, note = one
        finished = finished_or_empty(
            values,
            features,
            claim="attended",
            method="attention",
            target=target,
            units="share of attention",
            forwards=correction.forwards,
            noise=ROUND_OFF,
        )
        made.append(replace(finished, note=note) if isinstance(finished, AttributionMap) else finished)
    return made


METHOD = describe(
    attention,
    claim="attended",
    en="Where the model attended when it wrote the words; attention is a hypothesis, not evidence.",
    zh="模型生成文字时注意的位置；注意力只是假设，不是依据。",
    cost="none where rows were kept while generating, else 1 forward pass; corrected: 1 and, once for a prompt, 16 "
    "passes and image encodes",
    citation="Vaswani et al. 2017, arXiv 1706.03762; limits: Jain and Wallace 2019, arXiv 1902.10186",
    passes=lambda size: Passes(),
    many=attentions,
    variant_passes={
        "without_prior": lambda size: Passes(replays=1, encodes=size.images),
        # and once for each question 16 blank films, encoded once for each set of weights
        "corrected": lambda size: Passes(replays=17, encodes=16),
    },
    variants={
        "final": {"layers": "final"},
        "global": {"layers": "global"},
        "max": {"reduce": "max"},
        "without_prior": {"without_prior": True},
        "corrected": {"corrected": True},
    },
)
