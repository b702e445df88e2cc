"""Attention rows of the predicting positions, recorded beside SDPA at O(rows) memory.

An attention function registered through transformers' ``AttentionInterface`` runs stock SDPA and, for the wanted
query positions only, also computes the softmax row. Full maps of an 85-slice volume would need 258 GB at 4B size;
the rows of one token need 139 KB. The registration lasts for the ``with`` block and is undone afterwards.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from radiolucent.vlm.types import AttentionRows

IMPLEMENTATION = "radiolucent_rows"
ROW_CHUNK = 32  # rows computed at a time, so that a long replay's scores stay small beside the model

_lock = threading.Lock()
_users = 0  # open capture blocks in this process, over all models
_switched: dict[int, tuple[int, dict[str, str]]] = {}  # id(model) -> open blocks on it, what to restore


@dataclass
class _Waiting:
    """Queries (heads, 1, d) of one layer whose rows are still to be computed, and the latest keys (kv heads, k, d)."""

    queries: list[torch.Tensor] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    key: torch.Tensor | None = None
    scaling: float = 1.0

    def add(self, query: torch.Tensor, position: int, key: torch.Tensor, scaling: float) -> None:
        self.queries.append(query)
        self.positions.append(position)
        self.key = key
        self.scaling = scaling


class Recorder(Protocol):
    """What a forward inside :func:`row_capture` may be handed as ``row_recorder=``."""

    @property
    def wanted(self) -> tuple[int, ...]:
        """Absolute positions to record; where there are none the forward is stock SDPA."""

    def expect(self, first_query: int, wanted: Sequence[int]) -> None:
        """Before a forward: absolute position of its first query, and the absolute positions to record."""

    def attend(
        self,
        module: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        mask: torch.Tensor | None,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, None]:
        """One layer's attention, recorded: what :func:`run_sdpa` gives."""


class RowRecorder:
    """Collects rows while a model runs; handed to the forward as ``row_recorder=``.

    Parameters
    ----------
    layer_types
        ``global`` or ``sliding`` for each layer.
    image_positions
        Absolute positions of the image soft tokens, in image order.
    prompt_length
        Positions from here on are generated.
    dtype
        Storage of the per-cell weights: float32, or float16 for bf16 models.
    """

    def __init__(
        self,
        layer_types: Sequence[str],
        image_positions: Sequence[int] | torch.Tensor,
        prompt_length: int,
        dtype: torch.dtype,
    ) -> None:
        self.layer_types = tuple(layer_types)
        self.image_positions = torch.as_tensor(image_positions, dtype=torch.long)
        self.prompt_length = prompt_length
        self.dtype = dtype
        self.first_of_batch = False  # True: of several sequences, the first one's rows are recorded
        self.first_query = 0
        self.wanted: tuple[int, ...] = ()
        self.room = 0  # rows kept in one array made beforehand; 0: in as many parts as they come in
        self._array: torch.Tensor | None = None
        self._kept = [0 for _ in self.layer_types]
        self._image: list[list[torch.Tensor]] = [[] for _ in self.layer_types]
        self._sums: list[list[torch.Tensor]] = [[] for _ in self.layer_types]
        self._waiting = [_Waiting() for _ in self.layer_types]

    def fork(self, room: int = 0) -> RowRecorder:
        """A recorder that goes on from what is recorded so far, leaving this one as it is.

        Parameters
        ----------
        room
            Most rows in all, where it is known: they are kept in one array from the start, whose pages are taken only
            as they are filled, and never stand in memory twice.
        """
        self._finish()
        other = RowRecorder(self.layer_types, self.image_positions, self.prompt_length, self.dtype)
        other.room = room
        for layer, parts in enumerate(self._image):
            for part in parts:
                other._keep(layer, part)
        other._sums = [list(parts) for parts in self._sums]
        return other

    def expect(self, first_query: int, wanted: Sequence[int]) -> None:
        """Before a forward: absolute position of its first query, and the absolute positions to record."""
        self.first_query = first_query
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
        """Stock SDPA, and beside it the wanted rows."""
        with torch.no_grad():
            self.record(module.layer_idx, query, key, mask, kwargs["scaling"], kwargs.get("sliding_window"))
        return run_sdpa(module, query, key, value, mask, **kwargs)

    def record(
        self,
        layer: int,
        query: torch.Tensor,
        key: torch.Tensor,
        mask: torch.Tensor | None,
        scaling: float,
        window: int | None = None,
    ) -> None:
        """Rows of one layer; ``query`` (1, heads, q, d), ``key`` (1, kv heads, k, d), ``mask`` (1, 1, q, k).

        Of a batch only the first sequence is recorded, and only where ``first_of_batch`` is set.

        While writing token by token, a row's query is kept and rows are computed some at a time from the keys that the
        cache holds anyway; in a layer whose sliding cache is full they are computed at once, before keys are dropped.
        """
        if query.shape[0] != 1 and not self.first_of_batch:
            raise RuntimeError(f"Rows are recorded for a single sequence; this forward has {query.shape[0]}.")
        queries, keys = query.shape[2], key.shape[2]
        # A sliding cache keeps its last window only, so the key axis ends, but need not start, with the sequence.
        first_key = self.first_query + queries - keys
        if queries == 1 and first_key == 0 and (window is None or keys <= window):
            waiting = self._waiting[layer]
            waiting.add(query[0], self.first_query, key[0], scaling)
            if len(waiting.positions) == ROW_CHUNK or keys == window:
                self._compute(layer)
            return
        self._compute(layer)
        for start in range(0, len(self.wanted), ROW_CHUNK):
            wanted = self.wanted[start : start + ROW_CHUNK]
            local = torch.as_tensor(wanted, device=query.device) - self.first_query
            visible = _visible(mask, local, queries, keys)
            self._append(layer, attention_rows(query[0, :, local], key[0], visible, scaling), first_key)

    def _compute(self, layer: int) -> None:
        """Rows of the queries that wait; nothing a query could see has been dropped yet."""
        waiting = self._waiting[layer]
        if waiting.key is None:
            return
        query, key = torch.cat(waiting.queries, dim=1), waiting.key
        positions = torch.as_tensor(waiting.positions, device=key.device)
        visible = torch.arange(key.shape[1], device=key.device)[None] <= positions[:, None]
        self._append(layer, attention_rows(query, key, visible, waiting.scaling), 0)
        self._waiting[layer] = _Waiting()

    def _append(self, layer: int, rows: torch.Tensor, first_key: int) -> None:
        """Keep rows (heads, rows, keys) whose key axis starts at an absolute position."""
        if self.image_positions.device != rows.device:
            self.image_positions = self.image_positions.to(rows.device)
        columns = self.image_positions - first_key
        boundary = min(max(self.prompt_length - first_key, 0), rows.shape[-1])
        image = rows[..., columns.clamp(min=0)]
        if first_key > 0:
            image = image * (columns >= 0)
        prompt_text = rows[..., :boundary].sum(-1) - image.sum(-1)
        self._keep(layer, image.to(self.dtype))
        self._sums[layer].append(torch.stack((prompt_text, rows[..., boundary:].sum(-1))))

    def _keep(self, layer: int, image: torch.Tensor) -> None:
        """Keep rows (heads, rows, cells) of a layer."""
        if not self.room:
            self._image[layer].append(image)
            return
        heads, count, cells = image.shape
        if self._array is None:
            self._array = torch.empty((len(self.layer_types), heads, self.room, cells), dtype=self.dtype)
        first = self._kept[layer]
        if first + count > self.room:
            raise RuntimeError(f"Room was made for {self.room} rows; this is row {first + count}.")
        self._array[layer, :, first : first + count] = image
        self._kept[layer] = first + count

    def _finish(self) -> None:
        for layer in range(len(self.layer_types)):
            self._compute(layer)

    def rows(self) -> AttentionRows:
        """Everything recorded so far."""
        self._finish()
        if self._array is not None:
            image = self._array[:, :, : self._kept[0]].numpy()
        else:
            image = np.stack([torch.cat(parts, dim=1).cpu().numpy() for parts in self._image])
        sums = np.stack([torch.cat(parts, dim=2).cpu().numpy() for parts in self._sums])
        return AttentionRows(image, sums[:, 0].clip(min=0), sums[:, 1], self.layer_types)


def attention_rows(
    query: torch.Tensor, key: torch.Tensor, visible: torch.Tensor | None, scaling: float
) -> torch.Tensor:
    """Softmax rows in float32, key/value heads shared by groups of query heads.

    Parameters
    ----------
    query
        (heads, rows, d), rotary embedding applied.
    key
        (kv heads, keys, d); ``heads`` is a multiple of ``kv heads``.
    visible
        Bool (rows, keys), or None where a row sees every key.

    Returns
    -------
    float32 (heads, rows, keys)
    """
    heads, rows, width = query.shape
    grouped = query.float().reshape(key.shape[0], -1, width)
    scores = torch.matmul(grouped, key.float().transpose(1, 2)).mul_(scaling).view(heads, rows, -1)
    if visible is not None:
        scores.masked_fill_(~visible, float("-inf"))
    return scores.softmax(-1)


def _visible(mask: torch.Tensor | None, local: torch.Tensor, queries: int, keys: int) -> torch.Tensor | None:
    if mask is None:
        if queries == 1:
            return None
        if queries != keys:
            raise RuntimeError(f"{queries} queries on {keys} keys came without a mask; their rows are undefined.")
        return torch.arange(keys, device=local.device)[None, :] <= local[:, None]
    rows = mask[0, 0, local, :keys]
    return rows if rows.dtype == torch.bool else rows >= 0


def run_sdpa(
    module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None, **kwargs: Any
) -> tuple[torch.Tensor, None]:
    """Stock SDPA: the output (B, queries, heads, d) and no weights."""
    output: tuple[torch.Tensor, None] = ALL_ATTENTION_FUNCTIONS["sdpa"](module, query, key, value, mask, **kwargs)
    return output


def _recorded_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    row_recorder: Recorder | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    if row_recorder is None or not row_recorder.wanted:
        return run_sdpa(module, query, key, value, attention_mask, **kwargs)
    return row_recorder.attend(module, query, key, value, attention_mask, **kwargs)


@contextmanager
def row_capture(model: Any) -> Iterator[None]:
    """Let forwards of ``model`` accept ``row_recorder=`` inside the block.

    Blocks may nest and may run in parallel threads: forwards without a recorder behave as before, and the last
    block to close puts everything back, also after an exception.

    Parameters
    ----------
    model
        A ``Gemma3ForConditionalGeneration`` whose text decoder runs on ``sdpa``.
    """
    _enter(model)
    try:
        yield
    finally:
        _leave(model)


def _enter(model: Any) -> None:
    global _users
    with _lock:
        if _users == 0:
            AttentionInterface.register(IMPLEMENTATION, _recorded_attention)
            AttentionMaskInterface.register(IMPLEMENTATION, sdpa_mask)
        _users += 1
        open_blocks, restore = _switched.get(id(model), (0, {}))
        if open_blocks == 0:
            config = model.config
            restore = {
                "": config._attn_implementation,
                "text_config": config.text_config._attn_implementation,
                "vision_config": config.vision_config._attn_implementation,
            }
        _switched[id(model)] = (open_blocks + 1, restore)
        if open_blocks == 0:
            try:
                model.set_attn_implementation({**restore, "text_config": IMPLEMENTATION})
            except Exception:
                del _switched[id(model)]
                _unregister()
                raise


def _leave(model: Any) -> None:
    with _lock:
        open_blocks, restore = _switched.pop(id(model))
        if open_blocks > 1:
            _switched[id(model)] = (open_blocks - 1, restore)
        else:
            model.set_attn_implementation(restore)
        _unregister()


def _unregister() -> None:
    """Drop one user; the last one takes the registration away. transformers offers no public way to unregister."""
    global _users
    _users -= 1
    if _users == 0:
        AttentionInterface._global_mapping.pop(IMPLEMENTATION, None)
        AttentionMaskInterface._global_mapping.pop(IMPLEMENTATION, None)
