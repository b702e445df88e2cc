"""Writing tokens one by one on a shared prefill: greedy, K samples, or both side by side on a repeated cache.

Positions are always explicit (a hybrid cache's length saturates past its window, transformers PR 38156) and the cache
is never static (a static cache lost the bidirectional image mask in a sister model, unsloth PR 10903).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import DynamicCache

from radiolucent.errors import DegenerateSampling, MalformedInput
from radiolucent.vlm.capture import RowRecorder
from radiolucent.vlm.types import PromptInputs

ALTERNATIVES = 5
SHORTLIST = 1024  # candidates looked at before the whole vocabulary is sorted


@dataclass(frozen=True, eq=False)
class Prefill:
    """A prompt with its pictures, read once; any number of continuations start from it.

    Parameters
    ----------
    logits
        float32 (vocabulary,): prediction of the first generated token.
    recorder
        Holds the attention row that predicts it.
    features_key
        Digest of the pictures that were read.
    """

    inputs: PromptInputs
    cache: DynamicCache
    logits: torch.Tensor
    recorder: RowRecorder
    features_key: str = ""

    @property
    def length(self) -> int:
        """Positions in the prompt, image soft tokens included."""
        return len(self.inputs.input_ids)


@dataclass(frozen=True, eq=False)
class Written:
    """Tokens written and the distributions they were chosen from, at temperature 1.

    Parameters
    ----------
    token_ids
        int64 (tokens,), the end token included.
    top_ids, top_logprobs
        (tokens, ALTERNATIVES): the likeliest candidates, best first.
    """

    token_ids: NDArray[np.int64]
    logprobs: NDArray[np.float32]
    entropy: NDArray[np.float32]
    top_ids: NDArray[np.int64]
    top_logprobs: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Statistics:
    """log p, entropy and best candidates of some positions; tensors over (positions, …)."""

    logprobs: torch.Tensor
    entropy: torch.Tensor
    top_ids: torch.Tensor
    top_logprobs: torch.Tensor


def statistics(logits: torch.Tensor, token_ids: torch.Tensor) -> Statistics:
    """What is kept of a distribution.

    Parameters
    ----------
    logits
        float32 (positions, vocabulary), temperature 1.
    token_ids
        int64 (positions,): the token written there.
    """
    logprobs = logits.log_softmax(-1)
    entropy = -(logprobs.exp() * logprobs).nan_to_num(0.0).sum(-1)
    best = logprobs.topk(min(ALTERNATIVES, logits.shape[-1]), dim=-1)
    return Statistics(logprobs.gather(-1, token_ids[:, None])[:, 0], entropy, best.indices, best.values)


def fork_cache(cache: DynamicCache, repeats: int = 1) -> DynamicCache:
    """A cache that goes on from ``cache`` without changing it, every sequence ``repeats`` times.

    Layers replace their tensors rather than write into them, so the fork shares memory until it grows.
    """
    fork = copy.copy(cache)
    fork.layers = [copy.copy(layer) for layer in cache.layers]
    if repeats > 1:
        fork.batch_repeat_interleave(repeats)
    return fork


def write(
    module: Any,
    prefill: Prefill,
    *,
    greedy: bool = False,
    count: int = 0,
    temperature: float = 1.0,
    top_p: float = 1.0,
    seed: int = 0,
    end_tokens: Sequence[int],
    max_new_tokens: int,
    first: int = 0,
    recorder: RowRecorder | None = None,
) -> list[Written]:
    """Continuations written side by side on the prefill's cache, repeated: the likeliest one, samples, or both.

    A step reads the weights once for all sequences, so samples beside the greedy text cost little where the weights,
    not the arithmetic, set the pace. Sample *k* draws from its own stream, seeded by ``(seed, first + k)``: drawing
    four and then four more (``first=4``) gives the same samples as drawing eight.

    Parameters
    ----------
    module
        A ``Gemma3ForConditionalGeneration``, inside ``row_capture`` where a recorder is given.
    greedy
        The first sequence takes the likeliest token at each step.
    count
        Samples, after it.
    recorder
        A fork of the prefill's, for the greedy sequence: each step's row is the row that predicts the next token.

    Raises
    ------
    DegenerateSampling
        Where samples are asked for at temperature 0 or below: every sample would be the same.
    MalformedInput
        Where nothing is asked for, or ``top_p`` is outside (0, 1].
    """
    if count and not temperature > 0:
        raise DegenerateSampling(f"Temperature {temperature} draws no samples; use a temperature above 0, such as 0.7.")
    if count < 0 or greedy + count < 1 or not 0 < top_p <= 1:
        raise MalformedInput(f"count={count}, top_p={top_p}: expected count >= 1 and 0 < top_p <= 1.")
    streams = [np.random.default_rng((seed, first + index)) for index in range(count)]
    sequences = greedy + count
    if recorder is not None:
        recorder.first_of_batch = True
    cache = fork_cache(prefill.cache, sequences)
    logits = prefill.logits[None].expand(sequences, -1)
    steps: list[Statistics] = []
    columns: list[torch.Tensor] = []
    lengths = [0] * sequences
    running = set(range(sequences))
    while True:
        token = logits.new_empty(sequences, dtype=torch.long)
        if greedy:
            token[0] = logits[0].argmax()
        if count:
            uniform = torch.tensor([stream.random() for stream in streams], dtype=torch.float64, device=logits.device)
            token[int(greedy) :] = draw(logits[int(greedy) :], uniform, temperature, top_p)
        steps.append(statistics(logits, token))
        columns.append(token)
        for index, value in enumerate(token.tolist()):
            if index in running:
                lengths[index] += 1
                if value in end_tokens:
                    running.discard(index)
        if not running or len(columns) == max_new_tokens:
            break
        position = prefill.length + len(columns) - 1
        recording = recorder if recorder is not None and 0 in running else None
        if recording is not None:
            recording.expect(position, (position,))
        logits = step(module, token, cache, position, recording)
    return _written(torch.stack(columns, dim=1), steps, lengths)


def draw(logits: torch.Tensor, uniform: torch.Tensor, temperature: float, top_p: float) -> torch.Tensor:
    """One token a row by inverting the cumulative distribution of its nucleus (Holtzman et al. 2020).

    The nucleus is the smallest set of likeliest tokens whose probability at ``temperature`` reaches ``top_p``.

    Parameters
    ----------
    logits
        (rows, vocabulary).
    uniform
        float64 (rows,) in [0, 1).

    Returns
    -------
    int64 (rows,)
    """
    probability, order = _nucleus_candidates(logits, temperature, top_p)
    cumulative = probability.cumsum(-1)
    probability = probability.masked_fill(cumulative - probability >= top_p, 0.0)
    cumulative = probability.cumsum(-1)
    place = torch.searchsorted(cumulative, (uniform[:, None] * cumulative[:, -1:]).contiguous(), right=True)
    nucleus = (probability > 0).sum(-1, keepdim=True)
    return order.gather(-1, torch.minimum(place, nucleus - 1))[:, 0]


def _nucleus_candidates(logits: torch.Tensor, temperature: float, top_p: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Probabilities, highest first, and their tokens, at least as many as every row's nucleus holds.

    Sorting a vocabulary of 262,208 for each token would take as long as the token itself; a nucleus is a handful.
    """
    total = (logits.double() / temperature).logsumexp(-1, keepdim=True)

    def probabilities(best: torch.Tensor) -> torch.Tensor:
        return (best.double() / temperature - total).exp()

    shortlist = logits.topk(min(SHORTLIST, logits.shape[-1]), dim=-1)
    probability = probabilities(shortlist.values)
    if shortlist.values.shape[-1] == logits.shape[-1] or bool((probability.sum(-1) >= top_p).all()):
        return probability, shortlist.indices
    values, order = logits.sort(-1, descending=True)
    return probabilities(values), order


def step(
    module: Any, token: torch.Tensor, cache: DynamicCache, position: int, recorder: RowRecorder | None
) -> torch.Tensor:
    """Feed one token a sequence; the next prediction as float32 (sequences, vocabulary)."""
    extra = {} if recorder is None else {"row_recorder": recorder}
    output = module(
        input_ids=token[:, None],
        past_key_values=cache,
        position_ids=torch.full((1, 1), position, device=token.device).expand(len(token), 1),
        use_cache=True,
        logits_to_keep=1,
        **extra,
    )
    logits: torch.Tensor = output.logits[:, -1].float()
    return logits


def _written(token_ids: torch.Tensor, steps: list[Statistics], lengths: list[int]) -> list[Written]:
    """Cut each sequence at its end and carry it to numpy; ``token_ids`` (sequences, steps)."""
    stacked = {
        name: torch.stack([getattr(step, name) for step in steps]).cpu().numpy()
        for name in ("logprobs", "entropy", "top_ids", "top_logprobs")
    }
    ids = token_ids.cpu().numpy().astype(np.int64)
    return [
        Written(
            token_ids=ids[row, :length],
            logprobs=stacked["logprobs"][:length, row].astype(np.float32),
            entropy=stacked["entropy"][:length, row].astype(np.float32),
            top_ids=stacked["top_ids"][:length, row].astype(np.int64),
            top_logprobs=stacked["top_logprobs"][:length, row].astype(np.float32),
        )
        for row, length in enumerate(lengths)
    ]
