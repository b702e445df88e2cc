"""How fast this machine runs a model, from one layer of each tower: enough to say beforehand how long a run will take.

A layer's feed-forward block is timed once (a few milliseconds for the demo model, a fifth of a second at 4B) and
scaled by arithmetic: a replay is bound by multiplications, a decode step by reading the weights. An estimate, not a
measurement: good to about a third.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

PROBE_POSITIONS = 128  # enough that multiplications, not reading the weights, set the pace
REPEATS = 2  # the first pass warms caches up
OVERHEAD = 1.25  # attention, norms and the vocabulary beside the multiplications counted
LAUNCH = 5e-4  # seconds that a layer costs however small it is


@dataclass(frozen=True)
class Speed:
    """Seconds of the pieces that every run is made of.

    Parameters
    ----------
    position
        One position of a teacher-forced pass.
    token
        One decode step of one sequence; ``sequence`` for each further one beside it.
    encode
        One picture through the vision tower.
    launch
        A pass of any size, on top.
    """

    position: float
    token: float
    sequence: float
    encode: float
    launch: float


def measured_speed(module: Any) -> Speed:
    """Speed of a ``Gemma3ForConditionalGeneration`` where it stands.

    Parameters
    ----------
    module
        On its device, in its dtype.
    """
    text, vision = module.config.text_config, module.config.vision_config
    decoder = module.model.language_model
    block = decoder.layers[0].mlp
    inside = sum(parameter.numel() for layer in decoder.layers for parameter in layer.parameters())
    share = inside / sum(parameter.numel() for parameter in block.parameters())
    launch = LAUNCH * text.num_hidden_layers
    many = _seconds(block, (1, PROBE_POSITIONS, text.hidden_size), module)
    one = _seconds(block, (1, 1, text.hidden_size), module)
    vocabulary = text.vocab_size * text.hidden_size / sum(parameter.numel() for parameter in block.parameters())
    position = many / PROBE_POSITIONS * share * OVERHEAD
    return Speed(
        position=position,
        token=one * (share + vocabulary) + launch,
        sequence=min(position, one * share),
        encode=_encode_seconds(module, vision),
        launch=launch,
    )


def _encode_seconds(module: Any, vision: Any) -> float:
    layers = _vision_layers(module)
    patches = (vision.image_size // vision.patch_size) ** 2
    block = layers[0].mlp
    seconds = _seconds(block, (1, patches, vision.hidden_size), module)
    weights = sum(parameter.numel() for parameter in block.parameters())
    inside = sum(parameter.numel() for layer in layers for parameter in layer.parameters())
    attention = 2 * patches * vision.hidden_size * len(layers)  # multiplications of a position with every other
    return float(seconds * (inside + attention) / weights * OVERHEAD + LAUNCH * len(layers))


def _vision_layers(module: Any) -> Any:
    tower = module.model.vision_tower
    layers: Any = getattr(tower, "vision_model", tower).encoder.layers
    return layers


def _seconds(block: Callable[[torch.Tensor], torch.Tensor], shape: tuple[int, ...], module: Any) -> float:
    """Best of a few runs of a block on zeros."""
    shown = torch.zeros(shape, dtype=module.dtype, device=module.device)
    best = float("inf")
    with torch.no_grad():
        for _ in range(REPEATS):
            began = time.perf_counter()
            block(shown)
            if module.device.type == "cuda":
                torch.cuda.synchronize(module.device)
            best = min(best, time.perf_counter() - began)
    return best
