"""Sections about single passes: what each piece of a run costs, and what the naive recipe would cost from them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

from radiolucent.attribution.occlusion import windows
from radiolucent.attribution.targets import finding_target, soft_rows
from radiolucent.bench.clock import timed
from radiolucent.bench.record import Measurement
from radiolucent.bench.workload import Workload
from radiolucent.vlm.decode import draw, fork_cache, step
from radiolucent.vlm.decode import statistics as kept_of
from radiolucent.vlm.forced import embed
from radiolucent.vlm.layers import vision_layers
from radiolucent.vlm.perturb import blank_features
from radiolucent.vlm.target import target_scores

BATCHES = (1, 4, 16)
STEPS = 8  # decode steps timed at each batch, the first one left out
TRIES = 5  # of the small pieces
NAIVE_SAMPLES = 10  # the usual number in write-ups of sampling confidence


def pieces(work: Workload) -> list[Measurement]:
    """Seconds of every pass that a run is made of."""
    model, start = work.model, work.plain
    seconds: dict[str, float] = {"encode": start.encode, "prefill": start.prefill}
    fresh = model.encode(work.fresh_film())
    seconds["blank_encode"] = timed(lambda: blank_features(model, fresh), work.place)[1]
    for batch in BATCHES:
        seconds[f"decode_step_batch_{batch}"] = _step_seconds(work, batch)
    seconds["replay"] = timed(lambda: model.replay(start.generation, start.features), work.place)[1]
    seconds["replay_and_backward"] = timed(lambda: _gradient(work), work.place)[1]
    seconds |= _vocabulary_seconds(work)
    positions = start.prefilled.length + len(start.generation.token_ids)
    words = {
        "encode": "one picture through the vision tower",
        "blank_encode": "a blank picture through the vision tower",
        "prefill": f"prefill of {start.prefilled.length} positions",
        "replay": f"teacher-forced replay of {positions} positions with its statistics",
        "replay_and_backward": f"replay of {positions} positions with the graph, and one gradient at the soft tokens",
    }
    hows = {"encode": "one run", "prefill": "one run"}
    rows = []
    for name, value in seconds.items():
        small = name.startswith(("decode_step", "lm_head", "statistics", "draw"))
        how = f"median of {STEPS} steps" if name.startswith("decode") else f"best of {TRIES}" if small else "one run"
        rows.append(
            work.row(
                f"piece_{name}",
                words.get(name, name.replace("_", " ")),
                hows.get(name, how),
                seconds=value,
                ratio=value / start.total,
                ratio_of="piece ÷ plain generation",
            )
        )
    return rows


def _step_seconds(work: Workload, batch: int) -> float:
    """Median seconds of one decode step of ``batch`` sequences, the hidden states to logits included."""
    start = work.plain
    cache = fork_cache(start.prefilled.cache, batch)
    token = torch.full((batch,), int(start.generation.token_ids[0]), device=work.place)
    times = []
    with torch.no_grad():
        for index in range(STEPS + 1):
            position = start.prefilled.length + index
            times.append(timed(partial(step, work.model.module, token, cache, position, None), work.place)[1])
    return statistics.median(times[1:])


def _gradient(work: Workload) -> torch.Tensor:
    start, model = work.plain, work.model
    finding = work.spans(start.generation.text)[0]
    target = finding_target(start.generation, finding)
    rows = soft_rows(start.features).requires_grad_(True)
    with torch.enable_grad():
        score = target_scores(model, start.generation, rows, [target]).sum()
    (gradient,) = torch.autograd.grad(score, rows)
    return gradient


def _vocabulary_seconds(work: Workload) -> dict[str, float]:
    """What the size of the vocabulary costs at each decode step: logits, what is kept of them, and a draw."""
    module = work.model.module
    seconds: dict[str, float] = {}
    with torch.no_grad():
        for batch in (1, BATCHES[-1]):
            hidden = torch.zeros(batch, 1, work.model.hidden_size, dtype=work.model.dtype, device=work.place)
            logits = work.plain.prefilled.logits.expand(batch, -1).contiguous()
            token, uniform = logits.argmax(-1), torch.full((batch,), 0.5, dtype=torch.float64, device=work.place)
            small: dict[str, Callable[[], Any]] = {
                "lm_head": partial(module.lm_head, hidden),
                "statistics": partial(kept_of, logits, token),
                "draw": partial(draw, logits, uniform, 0.7, 0.9),
            }
            for name, work_of in small.items():
                seconds[f"{name}_batch_{batch}"] = min(timed(work_of, work.place)[1] for _ in range(TRIES))
    return seconds


def naive(work: Workload) -> list[Measurement]:
    """The usual recipe: full attention maps, one hidden window at a time for each finding, one generation a sample."""
    start, model = work.plain, work.model
    _, replay = timed(lambda: model.replay(start.generation, start.features), work.place)
    maps_bytes, maps_seconds = _full_text_maps(work)
    layer_seconds = _full_vision_layer(work)
    layers = len(vision_layers(model))
    size, cell = model.profile.image_size, model.profile.image_size // model.profile.grid
    hidden = len(windows(1, size, 2 * cell, cell))
    parts = {
        "plain": start.total,
        "full_text_maps": maps_seconds,
        "full_vision_maps": layer_seconds * layers,
        "windows": work.findings * hidden * (start.encode + replay),
        "samples": NAIVE_SAMPLES * start.total,
    }
    vision = model.module.config.vision_config
    patches = (vision.image_size // vision.patch_size) ** 2
    vision_bytes = layers * vision.num_attention_heads * patches**2 * model.dtype.itemsize
    return [
        work.row(
            "naive",
            f"the naive recipe: full attention maps, {hidden} windows hidden one at a time for each of {work.findings} "
            f"findings, {NAIVE_SAMPLES} generations",
            "EXTRAPOLATED from measured pieces, never run whole: one replay with eager full maps of the text decoder; "
            f"one vision layer with its full map, times {layers}; one encode and one replay, times the windows; one "
            "plain generation, times the samples",
            seconds=sum(parts.values()),
            ratio=sum(parts.values()) / start.total,
            ratio_of="naive recipe ÷ plain generation",
            bytes=maps_bytes + vision_bytes,
            extrapolated=True,
            details={
                "parts_seconds": parts,
                "text_maps_bytes": maps_bytes,
                "vision_maps_bytes": vision_bytes,
                "replay_seconds": replay,
                "windows_a_finding": hidden,
            },
        )
    ]


def _full_text_maps(work: Workload) -> tuple[int, float]:
    """Bytes of every text layer's full attention map over prompt and report, and the seconds of the eager pass."""
    start, model = work.plain, work.model
    inputs = start.prefilled.inputs
    written = torch.as_tensor(start.generation.token_ids, device=work.place)
    ids = torch.cat((torch.as_tensor(inputs.input_ids, device=work.place), written))
    types = torch.zeros_like(ids)
    types[: len(inputs.token_type_ids)] = torch.as_tensor(inputs.token_type_ids, device=work.place)
    soft = start.features.soft_tokens.reshape(1, -1, model.hidden_size)

    def maps() -> int:
        output = model.module(
            inputs_embeds=embed(model.module, ids, soft, model.profile.image_token),
            token_type_ids=types[None],
            position_ids=torch.arange(len(ids), device=work.place)[None],
            use_cache=False,
            output_attentions=True,
            logits_to_keep=1,
        )
        return sum(attention.numel() * attention.element_size() for attention in output.attentions)

    with torch.no_grad(), _eager(model.module, "text_config"):
        return timed(maps, work.place)


def _full_vision_layer(work: Workload) -> float:
    """Seconds of one vision layer that keeps its full attention map."""
    model = work.model
    vision = model.module.config.vision_config
    patches = (vision.image_size // vision.patch_size) ** 2
    hidden = torch.zeros(1, patches, vision.hidden_size, dtype=model.dtype, device=work.place)
    layer = vision_layers(model)[0]
    with torch.no_grad(), _eager(model.module, "vision_config"):
        return timed(lambda: layer(hidden, attention_mask=None), work.place)[1]


@contextmanager
def _eager(module: Any, part: str) -> Iterator[None]:
    """Eager attention in one of the two towers inside the block."""
    before = getattr(module.config, part)._attn_implementation
    module.set_attn_implementation({part: "eager"})
    try:
        yield
    finally:
        module.set_attn_implementation({part: before})
