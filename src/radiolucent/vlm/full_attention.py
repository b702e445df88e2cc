"""Full attention maps of one teacher-forced pass, under the pass's true masks: short prompts only.

Images are bidirectional inside themselves, text is causal, sliding layers see their window: the maps are computed
from the very queries, keys and masks of the pass, so they honour all three. A map takes positions squared: 620
positions of the 4B model are 0.2 GB in float32 (one map a layer, heads averaged), an 85-slice volume 65 GB, which is
refused; rows of single tokens (:mod:`radiolucent.vlm.capture`) have no such limit.

The pass runs inside :func:`radiolucent.vlm.capture.row_capture`: the attention function is registered for the block
and taken away behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from radiolucent.errors import InsufficientMemory
from radiolucent.vlm import memory
from radiolucent.vlm.capture import ROW_CHUNK, attention_rows, row_capture, run_sdpa
from radiolucent.vlm.forced import forced_logits
from radiolucent.vlm.gemma3 import Gemma3Model
from radiolucent.vlm.graph_memory import language_layer_bytes
from radiolucent.vlm.types import PromptInputs


class MeanMaps:
    """Records every layer's map averaged over heads, beside stock SDPA."""

    def __init__(self, maps: torch.Tensor, heads: Sequence[int] | None) -> None:
        self.maps = maps  # filled: float32 (layers, positions, positions)
        self._heads = heads
        self.wanted: tuple[int, ...] = ()

    def expect(self, first_query: int, wanted: Sequence[int]) -> None:
        """Every position is recorded, whichever are asked for."""
        self.wanted = tuple(wanted)

    def attend(
        self,
        module: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        mask: torch.Tensor | None,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, None]:
        """Stock SDPA, and beside it the map, some rows at a time."""
        with torch.no_grad():
            visible = visible_keys(mask, query)
            for start in range(0, query.shape[2], ROW_CHUNK):
                rows = slice(start, start + ROW_CHUNK)
                weights = attention_rows(query[0, :, rows], key[0], visible[rows], kwargs["scaling"])
                chosen = weights if self._heads is None else weights[list(self._heads)]
                self.maps[module.layer_idx, rows] = chosen.mean(0)
        return run_sdpa(module, query, key, value, mask, **kwargs)


class GraphMaps:
    """Computes attention in the open, as transformers' eager form does, and keeps every layer's maps in the graph."""

    def __init__(self) -> None:
        self.wanted: tuple[int, ...] = ()
        self.layers: list[torch.Tensor] = []

    def expect(self, first_query: int, wanted: Sequence[int]) -> None:
        """Every position is kept, whichever are asked for."""
        self.wanted = tuple(wanted)

    def attend(
        self,
        module: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        mask: torch.Tensor | None,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, None]:
        """Softmax in float32, cast to the model's dtype, times the values."""
        groups = query.shape[1] // key.shape[1]
        scores = query @ key.repeat_interleave(groups, dim=1).transpose(2, 3) * kwargs["scaling"]
        scores = scores.masked_fill(~visible_keys(mask, query), float("-inf"))
        maps = scores.softmax(-1, dtype=torch.float32).to(query.dtype)
        if not maps.requires_grad:  # the first layer's: nothing before it is differentiated
            maps.requires_grad_(True)
        self.layers.append(maps)
        output = maps @ value.repeat_interleave(groups, dim=1)
        return output.transpose(1, 2).contiguous(), None


@dataclass(frozen=True, eq=False)
class OpenPass:
    """One pass whose attention maps are part of its graph.

    Parameters
    ----------
    maps
        For each layer (1, heads, positions, positions), in the model's dtype.
    logprobs
        float32 (tokens asked for,), differentiable with respect to every map.
    """

    maps: tuple[torch.Tensor, ...]
    logprobs: torch.Tensor

    def gradients(self, score: torch.Tensor, *, keep: bool) -> tuple[torch.Tensor, ...]:
        """Gradient of a score with respect to each layer's maps, zeros where it does not depend on them.

        Parameters
        ----------
        keep
            Keep the graph for another score.
        """
        return torch.autograd.grad(score, self.maps, retain_graph=keep, materialize_grads=True)


def mean_attention_maps(
    model: Gemma3Model,
    inputs: PromptInputs,
    token_ids: torch.Tensor,
    soft_tokens: torch.Tensor,
    *,
    heads: Sequence[int] | None = None,
) -> torch.Tensor:
    """Every layer's full map, averaged over heads, in one pass: float32 (layers, positions, positions).

    The last token predicts nothing that is asked for and is not run: positions are prompt + tokens - 1. Rows add to 1.

    Parameters
    ----------
    token_ids
        int64 (m,) after the prompt, at least one.
    soft_tokens
        (images, cells, hidden) or flat.
    heads
        Averaged; all where None.

    Raises
    ------
    InsufficientMemory
        Where the maps would not fit.
    """
    positions = len(inputs.input_ids) + len(token_ids) - 1
    layers = len(model.layer_types)
    text = model.module.config.text_config
    needed = 4 * positions * ((layers + 2) * positions + 2 * ROW_CHUNK * text.num_attention_heads)  # 2: masks
    needed += language_layer_bytes(text, model.dtype, positions)
    refuse_maps(model, positions, needed)
    recorder = MeanMaps(torch.zeros(layers, positions, positions, device=model.device), heads)
    with torch.no_grad(), row_capture(model.module):
        forced_logits(
            model.module,
            inputs,
            token_ids.to(model.device),
            soft_tokens.reshape(1, -1, model.hidden_size),
            image_token=model.profile.image_token,
            wanted=[len(token_ids) - 1],
            recorder=recorder,
        )
    return recorder.maps


def open_pass(
    model: Gemma3Model,
    inputs: PromptInputs,
    token_ids: torch.Tensor,
    soft_tokens: torch.Tensor,
    wanted: Sequence[int],
) -> OpenPass:
    """One pass that can be differentiated with respect to its attention maps.

    Attention is computed in the eager form: equal to SDPA in float32, within its rounding in bfloat16.

    Parameters
    ----------
    wanted
        Indices into ``token_ids`` whose log p is taken; the tokens behind the last of them are not run.

    Raises
    ------
    InsufficientMemory
        Where the graph would not fit.
    """
    positions = len(inputs.input_ids) + max(wanted)
    text = model.module.config.text_config
    width = torch.empty((), dtype=model.dtype).element_size()
    # Scores, their softmax in float32, the maps and their gradients (measured: 10 bytes an entry in float32, 12 in
    # bfloat16), a map for the caller, and what a layer keeps beside its attention.
    maps = positions**2 * (text.num_attention_heads * (6 + 3 * width) + 4)
    needed = len(model.layer_types) * (maps + language_layer_bytes(text, model.dtype, positions))
    refuse_maps(model, positions, needed)
    recorder = GraphMaps()
    ids = token_ids.to(model.device)
    with torch.enable_grad(), row_capture(model.module):
        logits = forced_logits(
            model.module,
            inputs,
            ids,
            soft_tokens.detach().reshape(1, -1, model.hidden_size),
            image_token=model.profile.image_token,
            wanted=wanted,
            recorder=recorder,
        )[0].float()
        written = ids[torch.as_tensor(list(wanted), device=ids.device)]
        logprobs = logits.gather(-1, written[:, None])[:, 0] - logits.logsumexp(-1)
    return OpenPass(tuple(recorder.layers), logprobs)


def visible_keys(mask: torch.Tensor | None, query: torch.Tensor) -> torch.Tensor:
    """Bool (positions, positions): the keys that each query of a pass without a cache may see.

    Parameters
    ----------
    mask
        Of SDPA, (1, 1, positions, positions), bool or additive; None where the layer is plainly causal.
    """
    positions = query.shape[2]
    if mask is None:
        return torch.ones(positions, positions, dtype=torch.bool, device=query.device).tril()
    rows = mask[0, 0, :, :positions]
    return rows if rows.dtype == torch.bool else rows >= 0


def refuse_maps(model: Gemma3Model, positions: int, needed: int) -> None:
    """Refuse full maps that would not fit."""
    free = memory.free_bytes(model.device)
    if needed > free * (1 - memory.RESERVE):
        raise InsufficientMemory(
            f"Full attention maps of {positions} positions need about {needed / 1e9:.2f} GB; {free / 1e9:.2f} GB are "
            f"free on {model.device}. They are for short prompts: use fewer images or slices, or the method "
            "'attention', which keeps single rows."
        )
