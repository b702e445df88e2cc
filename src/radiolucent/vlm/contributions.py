"""How much each image cell adds to the residual stream through attention: weight times the value it carries.

A cell may draw much attention and pass on nothing (its value is close to 0: a "no operation" sink). What a head *h*
of layer *l* adds to the residual stream of row *i* from cell *j* is the vector

    a[i, j] * (1 + w) * (W_O[h] v[j]) / rms(o[i])

with ``a`` the attention weight, ``v`` the value of the key/value head that *h* shares, ``W_O[h]`` the head's columns
of the output projection, and ``w``, ``rms(o[i])`` weight and denominator of Gemma 3's norm behind attention, whose
input ``o[i]`` is the whole output of row *i*. Its length is kept: exact, not an approximation, since the norm's
denominator is one number for the row. The vectors of all heads and positions add to what the layer adds.

Kobayashi et al. 2020, arXiv 2004.10102, carried to a norm behind the projection.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from radiolucent.vlm.capture import RowRecorder, row_capture
from radiolucent.vlm.forced import forced_logits
from radiolucent.vlm.gemma3 import Gemma3Model
from radiolucent.vlm.types import AttentionRows, Generation


@dataclass(frozen=True, eq=False)
class Contributions:
    """Rows of the predicting positions with what each cell carries.

    Parameters
    ----------
    rows
        Attention of the wanted tokens' rows.
    value_norms
        float32 (layers, heads, images * cells): length of (1 + w) * (W_O[h] v[j]).
    output_rms
        float32 (layers, tokens): the norm's denominator in each row.
    """

    rows: AttentionRows
    value_norms: NDArray[np.float32]
    output_rms: NDArray[np.float32]

    def lengths(self, tokens: slice = slice(None)) -> NDArray[np.float32]:
        """float32 (layers, heads, tokens, images * cells): length of what each cell adds to some tokens' rows."""
        weights = self.rows.image[:, :, tokens].astype(np.float32)
        denominators = self.output_rms[:, None, tokens, None]
        lengths: NDArray[np.float32] = weights * self.value_norms[:, :, None] / denominators
        return lengths


class ContributionRecorder(RowRecorder):
    """A row recorder that also keeps value norms and output denominators; for one pass without a cache."""

    def __init__(
        self,
        layer_types: Sequence[str],
        image_positions: Sequence[int],
        prompt_length: int,
        dtype: torch.dtype,
        after_attention: Sequence[Any],
    ) -> None:
        super().__init__(layer_types, image_positions, prompt_length, dtype)
        self._norms = after_attention
        self.value_norms: list[torch.Tensor] = []
        self.output_rms: list[torch.Tensor] = []

    def attend(
        self,
        module: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        mask: torch.Tensor | None,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, None]:
        """Stock SDPA, and beside it rows, value norms and denominators."""
        output, nothing = super().attend(module, query, key, value, mask, **kwargs)
        with torch.no_grad():
            norm = self._norms[module.layer_idx]
            carried = value[0, :, self.image_positions.to(value.device)]
            self.value_norms.append(projected_norms(carried, module.o_proj.weight, 1 + norm.weight.float()))
            written = module.o_proj(output[0, list(self.wanted)].flatten(1)).float()
            self.output_rms.append((written.pow(2).mean(-1) + norm.eps).sqrt())
        return output, nothing


def projected_norms(values: torch.Tensor, projection: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Length of scale * (W_O[h] v) for each query head and position.

    Parameters
    ----------
    values
        (kv heads, positions, d); each is shared by a group of neighbouring query heads.
    projection
        Output projection (hidden, heads * d).
    scale
        (hidden,)

    Returns
    -------
    float32 (heads, positions)
    """
    kv_heads, _, width = values.shape
    by_head = (projection.float() * scale[:, None]).view(len(projection), -1, width).transpose(0, 1)
    shared = values.float().repeat_interleave(len(by_head) // kv_heads, dim=0)
    return torch.stack([(one @ head.T).norm(dim=-1) for one, head in zip(shared, by_head, strict=True)])


def contributions(
    model: Gemma3Model,
    generation: Generation,
    soft_tokens: torch.Tensor,
    *,
    token_ids: NDArray[np.int64] | None = None,
    wanted: Sequence[int] | None = None,
) -> Contributions:
    """One teacher-forced pass with a picture: rows and what each cell carries.

    Parameters
    ----------
    soft_tokens
        (images, cells, hidden) or flat.
    token_ids
        Written after the prompt in the generation's place.
    wanted
        Indices into the tokens whose rows are kept; all where None.
    """
    inputs = generation.prompt_inputs
    ids = generation.token_ids if token_ids is None else token_ids
    recorder = ContributionRecorder(
        model.layer_types,
        [position for first, last in inputs.image_spans for position in range(first, last)],
        len(inputs.input_ids),
        torch.float32 if model.dtype == torch.float32 else torch.float16,
        [layer.post_attention_layernorm for layer in model.module.model.language_model.layers],
    )
    with torch.no_grad(), row_capture(model.module):
        forced_logits(
            model.module,
            inputs,
            torch.as_tensor(ids, device=model.device),
            soft_tokens.reshape(1, -1, model.hidden_size),
            image_token=model.profile.image_token,
            wanted=wanted,
            recorder=recorder,
        )
    return Contributions(
        recorder.rows(),
        torch.stack(recorder.value_norms).cpu().numpy(),
        torch.stack(recorder.output_rms).cpu().numpy(),
    )
