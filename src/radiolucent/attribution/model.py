"""What attribution needs of a model adapter; any family that offers it can be explained.

The adapters' own functions name the first family in their signatures though they use no more than this protocol; they
are narrowed to it here, once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray

from radiolucent.study.types import Study
from radiolucent.vlm import perturb, target
from radiolucent.vlm.gemma3 import Gemma3Model
from radiolucent.vlm.types import Features, Generation, Prompt, PromptInputs, Replay, Target


class ExplainableModel(Protocol):
    """Encode, replay and score; see :class:`radiolucent.vlm.gemma3.Gemma3Model`."""

    @property
    def layer_types(self) -> Sequence[str]:
        """``global`` or ``sliding`` for each decoder layer."""

    def encode(self, study: Study) -> Features:
        """The study as the language model receives it."""

    def encode_pixels(self, pixels: torch.Tensor) -> torch.Tensor:
        """(B, 3, S, S) -> (B, cells, hidden), differentiable."""

    def prompt_inputs(self, prompt: Prompt, features: Features) -> PromptInputs:
        """The prompt as token arrays."""

    def replay(
        self,
        generation: Generation,
        features: Features,
        *,
        capture: bool = False,
        soft_tokens: torch.Tensor | None = None,
    ) -> Replay:
        """One teacher-forced pass over prompt and generation."""

    def token_logprobs(
        self,
        prompt_inputs: PromptInputs,
        token_ids: NDArray[np.int64] | Sequence[int],
        soft_tokens: torch.Tensor,
        *,
        wanted: Sequence[int] | None = None,
    ) -> torch.Tensor:
        """log p of tokens (m,) after the prompt: (B, images * cells, hidden) -> (B, m or wanted), differentiable."""


def target_scores(
    model: ExplainableModel, generation: Generation, soft_tokens: torch.Tensor, targets: Sequence[Target]
) -> torch.Tensor:
    """See :func:`radiolucent.vlm.target.target_scores`."""
    return target.target_scores(cast(Gemma3Model, model), generation, soft_tokens, targets)


def blank_features(model: ExplainableModel, features: Features) -> Features:
    """See :func:`radiolucent.vlm.perturb.blank_features`."""
    return perturb.blank_features(cast(Gemma3Model, model), features)
