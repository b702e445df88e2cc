"""The layers of a loaded model, and what one of them puts out while the model runs.

A tap is a hook that lasts for a ``with`` block and sees only the passes of its own thread: several explanations may
share one model.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from radiolucent.errors import MalformedInput
from radiolucent.vlm.gemma3 import Gemma3Model


def vision_layers(model: Gemma3Model) -> Sequence[Any]:
    """Encoder layers of the SigLIP tower, first to last; each puts out (B, patches, width). SigLIP has no CLS token."""
    layers: Sequence[Any] = model.module.model.vision_tower.encoder.layers
    return layers


def language_layers(model: Gemma3Model) -> Sequence[Any]:
    """Decoder layers of the language model, first to last; each puts out (B, positions, hidden)."""
    layers: Sequence[Any] = model.module.model.language_model.layers
    return layers


def language_head(model: Gemma3Model) -> Any:
    """What turns hidden states into logits over the vocabulary."""
    return model.module.lm_head


def layer_at(layers: Sequence[Any], index: int) -> tuple[int, Any]:
    """A layer and its index counted from the front; negative indices count from the end.

    Raises
    ------
    MalformedInput
        Where there is no such layer.
    """
    if not -len(layers) <= index < len(layers):
        raise MalformedInput(f"Layer {index} is none of these {len(layers)} layers (0 to {len(layers) - 1}).")
    return index % len(layers), layers[index]


@contextmanager
def tapped(layer: Any, *, cut: bool = False) -> Iterator[list[torch.Tensor]]:
    """What a layer puts out in this thread while the block lasts: the list grows by one tensor a pass.

    Parameters
    ----------
    cut
        True: the graph starts here. The output becomes a leaf in at least single precision that requires a gradient,
        and the layers after it go on from the leaf; nothing before it is kept for a backward pass.
    """
    outputs: list[torch.Tensor] = []
    thread = threading.get_ident()

    def hook(_layer: Any, _inputs: Any, output: torch.Tensor) -> torch.Tensor:
        if threading.get_ident() != thread:
            return output
        if not cut:
            outputs.append(output)
            return output
        leaf = output.detach().to(torch.promote_types(output.dtype, torch.float32)).clone().requires_grad_(True)
        outputs.append(leaf)
        return leaf.to(output.dtype)

    handle = layer.register_forward_hook(hook)
    try:
        yield outputs
    finally:
        handle.remove()
