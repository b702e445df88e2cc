"""log p of candidate answers to short questions about one picture: the pictures and the shared words are read once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import DynamicCache

from radiolucent.errors import MalformedInput
from radiolucent.vlm.decode import fork_cache
from radiolucent.vlm.forced import LOGITS_BUDGET
from radiolucent.vlm.gemma3 import Gemma3Model
from radiolucent.vlm.target import as_tokens
from radiolucent.vlm.types import Features, Prompt, PromptInputs


def answer_logprobs(
    model: Gemma3Model,
    prompts: Prompt | Sequence[Prompt],
    features: Features,
    answers: Sequence[str],
    *,
    soft_tokens: torch.Tensor | None = None,
) -> NDArray[np.float32]:
    """log p of each candidate answer to each question, the end of the turn not included.

    Where the questions share their beginning up to behind the last image, that beginning is read once for all;
    otherwise each question is read on its own, with the same result.

    Parameters
    ----------
    answers
        Such as ``("Yes", "No")``; any number of tokens each.
    soft_tokens
        Shown in the features' place, (images, cells, hidden), such as those of a blank picture.

    Returns
    -------
    float32 (prompts, answers) in nats.
    """
    asked = [prompts] if isinstance(prompts, Prompt) else list(prompts)
    tokens = [as_tokens(model, answer) for answer in answers]
    if not asked or not tokens or any(len(one) == 0 for one in tokens):
        raise MalformedInput("Give at least one question and at least one answer, none of them empty.")
    inputs = [model.prompt_inputs(prompt, features) for prompt in asked]
    shown = (features.soft_tokens if soft_tokens is None else soft_tokens).reshape(1, -1, model.hidden_size)
    shared = _shared_length(inputs)
    behind_images = max((last for _, last in inputs[0].image_spans), default=0)
    with torch.no_grad():
        if shared < max(behind_images, 1):
            rows = [[float(model.token_logprobs(one, ids, shown).sum()) for ids in tokens] for one in inputs]
            return np.asarray(rows, dtype=np.float32)
        return _on_shared_prefill(model, inputs, shared, tokens, shown)


def _on_shared_prefill(
    model: Gemma3Model,
    inputs: list[PromptInputs],
    shared: int,
    answers: list[NDArray[np.int64]],
    soft_tokens: torch.Tensor,
) -> NDArray[np.float32]:
    first = inputs[0]
    head = PromptInputs(first.input_ids[:shared], first.token_type_ids[:shared], first.image_spans)
    cache = model.prefill_inputs(head, soft_tokens).cache
    # Answers that begin alike share a sequence: with "Yes" and "No" there is one sequence a question.
    beginnings = sorted({tuple(answer[:-1].tolist()) for answer in answers})
    jobs = [(question, beginning) for question in range(len(inputs)) for beginning in beginnings]
    sequences = [np.concatenate((inputs[q].input_ids[shared:], np.asarray(b, dtype=np.int64))) for q, b in jobs]
    longest = max(len(sequence) for sequence in sequences)
    at_a_time = max(1, LOGITS_BUDGET // (longest * model.module.config.text_config.vocab_size * 4))
    result = np.zeros((len(inputs), len(answers)), dtype=np.float32)
    for start in range(0, len(jobs), at_a_time):
        some = slice(start, start + at_a_time)
        logprobs = _continue(model, cache, shared, sequences[some])
        for row, (question, beginning) in enumerate(jobs[some]):
            before = len(inputs[question].input_ids) - shared - 1
            for column, answer in enumerate(answers):
                if tuple(answer[:-1].tolist()) == beginning:
                    places = torch.arange(before, before + len(answer), device=logprobs.device)
                    ids = torch.as_tensor(answer, device=logprobs.device)
                    result[question, column] = float(logprobs[row, places, ids].sum())
    return result


def _continue(model: Gemma3Model, cache: DynamicCache, shared: int, sequences: list[NDArray[np.int64]]) -> torch.Tensor:
    """log p after each position of some continuations; float32 (sequences, longest, vocabulary).

    Shorter ones are filled up on the right: later positions cannot be seen by earlier ones.
    """
    longest = max(len(sequence) for sequence in sequences)
    ids = np.zeros((len(sequences), longest), dtype=np.int64)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = sequence
    output = model.module(
        input_ids=torch.as_tensor(ids, device=model.device),
        past_key_values=fork_cache(cache, len(sequences)),
        position_ids=torch.arange(shared, shared + longest, device=model.device)[None].expand(len(ids), -1),
        use_cache=True,
    )
    logprobs: torch.Tensor = output.logits.float().log_softmax(-1)
    return logprobs


def _shared_length(inputs: list[PromptInputs]) -> int:
    """Tokens that all prompts begin with, one token of each left to be fed."""
    shortest = min(len(one.input_ids) for one in inputs) - 1
    stacked = np.stack([one.input_ids[:shortest] for one in inputs])
    differing = np.flatnonzero((stacked != stacked[0]).any(axis=0))
    return int(differing[0]) if len(differing) else shortest
