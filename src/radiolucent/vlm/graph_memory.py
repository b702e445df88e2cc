"""The memory of a pass that gradients are taken through: estimated before it runs, traded for time where it is short.

A graph keeps what every layer needs for its backward pass. With frozen weights that is less than in training (no
input of a linear map is kept): at 4B size in bfloat16 4.5 MB a position, 1.8 GB for one film and its report, and
2.5 GB for a picture in the vision tower. Where more than half of what is free would go, the layers are checkpointed
(Chen et al. 2016, arXiv 1604.06174): each keeps its input only and runs again in every backward pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from radiolucent.errors import InsufficientMemory
from radiolucent.vlm import memory
from radiolucent.vlm.gemma3 import Gemma3Model
from radiolucent.vlm.layers import language_layers, vision_layers

COMFORTABLE = 0.5  # share of the free memory that a graph may take before its layers are checkpointed


@contextmanager
def language_graph(model: Gemma3Model, *, positions: int, pictures: int, rows: int) -> Iterator[bool]:
    """Run a pass through the language model with a graph in this block: kept whole, or checkpointed.

    Parameters
    ----------
    positions
        Length of prompt and answer.
    rows
        Positions whose logits over the vocabulary are kept, in the model's dtype and in float32.

    Yields
    ------
    Whether the layers are checkpointed.

    Raises
    ------
    InsufficientMemory
        Where not even the checkpointed graph would fit.
    """
    config = model.module.config.text_config
    each = pictures * language_layer_bytes(config, model.dtype, positions)
    given = pictures * positions * config.hidden_size * _width(model.dtype)
    logits = pictures * rows * config.vocab_size * (_width(model.dtype) + 4)
    with _graph(language_layers(model), each, given, model.device, beside=logits) as lean:
        yield lean


@contextmanager
def vision_graph(model: Gemma3Model, *, pictures: int, first: int = 0) -> Iterator[bool]:
    """The same for a pass through the vision tower whose graph starts before layer ``first``."""
    config = model.module.config.vision_config
    each = pictures * vision_layer_bytes(config, model.dtype)
    given = pictures * _patches(config) * config.hidden_size * _width(model.dtype)
    with _graph(vision_layers(model)[first:], each, given, model.device) as lean:
        yield lean


def language_layer_bytes(config: Any, dtype: torch.dtype, positions: int) -> int:
    """Bytes that one decoder layer keeps of one sequence for its backward pass.

    The factors are those of Gemma 3's layer with frozen weights and SDPA: norms and residuals in float32, gates, rotary
    products, queries, keys and values in the model's dtype, and one mask.
    """
    width = _width(dtype)
    queries = config.num_attention_heads * config.head_dim
    keys = config.num_key_value_heads * config.head_dim
    kept = 16 * config.hidden_size + 3 * width * config.intermediate_size + (5 + 4 * width) * queries + 5 * keys
    return int(positions * (kept + width * positions))


def vision_layer_bytes(config: Any, dtype: torch.dtype) -> int:
    """The same for one layer of the vision tower and one picture."""
    return int(_patches(config) * _width(dtype) * (6 * config.hidden_size + config.intermediate_size))


@contextmanager
def checkpointed(layers: Sequence[Any]) -> Iterator[None]:
    """Let layers keep only their inputs, by transformers' own mechanism; undone at the end of the block.

    The mechanism asks for ``training``, which is set on the layer alone: its parts, dropout among them, stay in
    evaluation mode.
    """
    for layer in layers:
        layer._gradient_checkpointing_func = partial(checkpoint, use_reentrant=False)
        layer.gradient_checkpointing = True
        layer.training = True
    try:
        yield
    finally:
        for layer in layers:
            layer.gradient_checkpointing = False
            layer.training = False


@contextmanager
def _graph(layers: Sequence[Any], kept: int, given: int, device: torch.device, beside: int = 0) -> Iterator[bool]:
    """``kept``: bytes of each layer; ``given``: of its input, all that a checkpoint keeps; ``beside``: of the rest."""
    free = memory.free_bytes(device)
    if kept * len(layers) + beside <= free * COMFORTABLE:
        yield False
        return
    needed = given * len(layers) + 2 * kept + beside  # the layer that runs again holds its values and their gradients
    if needed > free * (1 - memory.RESERVE):
        raise InsufficientMemory(
            f"A gradient through {len(layers)} layers needs about {needed / 1e9:.2f} GB even with checkpoints; "
            f"{free / 1e9:.2f} GB are free on {device}. Use fewer slices or a smaller batch, an attention map or an "
            "ablation (which need no graph), or load with dtype='bf16'."
        )
    with checkpointed(layers):
        yield True


def _patches(config: Any) -> int:
    return int((config.image_size // config.patch_size) ** 2)


def _width(dtype: torch.dtype) -> int:
    return torch.empty((), dtype=dtype).element_size()
