"""A model's weights replaced by noise, from its words down to its eyes: the cascade of Adebayo et al. 2018.

Each stage is a new copy behind the same adapter, so that nothing kept of the trained weights (encoded films, maps of
blank films) can be met again.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, cast

import torch

from radiolucent.attribution.model import ExplainableModel
from radiolucent.vlm.gemma3 import Gemma3Model
from radiolucent.vlm.layers import language_layers

STAGES = (
    "language model, last third",
    "language model, last two thirds",
    "language model",
    "projector",
    "vision tower",
)


def randomised(model: ExplainableModel, *, seed: int) -> Iterator[tuple[str, ExplainableModel]]:
    """Copies of the model, each with one stage more of its weights replaced; the model itself is not touched.

    Matrices are drawn anew from a normal distribution of their own mean and spread, vectors (biases, norms) are
    shuffled, so that activations keep their size and what is learned is gone.

    Yields
    ------
    The stage of :data:`STAGES` and the copy.
    """
    current = model
    for number, stage in enumerate(STAGES):
        current = copied(current)
        draw = torch.Generator().manual_seed(seed * len(STAGES) + number)
        for part in _parts(cast(Gemma3Model, current))[number]:
            _replace(part, draw)
        yield stage, current


def copied(model: ExplainableModel) -> ExplainableModel:
    """A model whose weights may be changed; the processor, which holds none, is shared."""
    processor = getattr(model, "processor", None)
    return copy.deepcopy(model, {} if processor is None else {id(processor): processor})


def in_bfloat16(model: ExplainableModel) -> ExplainableModel | None:
    """The model with its weights in bfloat16; None where they are not in float32."""
    if cast(Gemma3Model, model).dtype != torch.float32:
        return None
    other = copied(model)
    cast(Gemma3Model, other).module.to(torch.bfloat16)
    return other


def _parts(model: Gemma3Model) -> list[list[Any]]:
    """The modules of each stage."""
    layers = list(language_layers(model))
    one, two = len(layers) - len(layers) // 3, len(layers) - 2 * (len(layers) // 3)
    inner = model.module.model
    words = [inner.language_model.embed_tokens, inner.language_model.norm, model.module.lm_head]  # tied: one matrix
    return [layers[one:], layers[two:one], [*layers[:two], *words], [inner.multi_modal_projector], [inner.vision_tower]]


def _replace(part: Any, draw: torch.Generator) -> None:
    with torch.no_grad():
        for weights in part.parameters():
            flat = weights.detach().float().cpu()
            if weights.ndim > 1:
                noise = torch.empty_like(flat).normal_(float(flat.mean()), float(flat.std()), generator=draw)
            else:
                noise = flat[torch.randperm(len(flat), generator=draw)] if flat.ndim else flat
            weights.copy_(noise.to(weights))
