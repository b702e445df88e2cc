"""The gate before every explanation: the replayed pass must be the pass that wrote the words.

A replay that lost the image mask, a token, or the version of the library that wrote the words explains another pass
(methods that drop ``token_type_ids`` in their replay moved logits by up to 3.2 on a scale of 5.2).
"""

from __future__ import annotations

import numpy as np
import torch

from radiolucent.errors import MalformedInput, ParityError
from radiolucent.vlm.decode import fork_cache, step
from radiolucent.vlm.forced import forced_logits
from radiolucent.vlm.gemma3 import Gemma3Model
from radiolucent.vlm.types import Features, Generation, PromptInputs, Replay

FP32_BOUND = 1e-3  # nats; cached and uncached float32 passes differ by about 1e-5
BF16_LOOSEST = 1.0  # nats; a lost image mask moves log p by more, so a noisier model cannot be vouched for
SAFETY = 4.0  # a report has more tokens than the prompt's tail on which the noise is measured
TAIL = 32  # prompt tokens fed one by one for the measurement
CANDIDATES = 20  # likeliest tokens compared at each of them


def check_parity(
    model: Gemma3Model,
    generation: Generation,
    replay: Replay,
    *,
    features: Features | None = None,
    bound: float | None = None,
) -> float:
    """Refuse a replay that does not reproduce the generation's log-probabilities.

    Parameters
    ----------
    features
        Shown to the model; a bf16 model's bound is measured on them once (on a mid-grey picture where None).
    bound
        Largest |Δ log p| in nats; the model's own where None.

    Returns
    -------
    The largest |Δ log p| found.

    Raises
    ------
    ParityError
        Naming the first token that differs: by more than the bound, or in the likeliest candidate where the two best
        candidates are further apart than the bound.
    """
    tokens = len(generation.token_ids)
    if len(replay.logprobs) != tokens or replay.top is None or len(replay.top) != tokens:
        raise ParityError(f"The replay covers {len(replay.logprobs)} tokens, the generation {tokens}; replay it again.")
    limit = bound if bound is not None else _bound(model, generation, features)
    difference = np.abs(replay.logprobs.astype(np.float64) - generation.logprobs.astype(np.float64))
    for index in range(tokens):
        best = generation.alternatives[index]
        margin = best[0].logprob - best[1].logprob if len(best) > 1 else np.inf
        other = int(replay.top[index]) != best[0].token_id and margin > limit
        if not difference[index] <= limit or other:
            raise ParityError(_what(model, generation, replay, index, limit))
    return float(difference.max(initial=0.0))


def measured_bound(model: Gemma3Model, inputs: PromptInputs, soft_tokens: torch.Tensor) -> float:
    """How far a cached and an uncached pass of this model differ on the prompt's tail, times a safety factor.

    Parameters
    ----------
    inputs
        A prompt; its last tokens, after the last image, are fed one by one.
    soft_tokens
        (images, cells, hidden).

    Returns
    -------
    Nats: between the float32 bound and ``BF16_LOOSEST``.
    """
    length = len(inputs.input_ids)
    behind_images = max((last for _, last in inputs.image_spans), default=1)
    cut = max(length - TAIL, behind_images)
    if cut >= length:
        raise MalformedInput("The prompt ends in an image; no text is left to measure the model's noise on.")
    head = PromptInputs(inputs.input_ids[:cut], inputs.token_type_ids[:cut], inputs.image_spans)
    tail = torch.as_tensor(inputs.input_ids[cut:], device=model.device)
    rows = soft_tokens.reshape(1, -1, model.hidden_size)
    prefill = model.prefill_inputs(head, rows)
    cache = fork_cache(prefill.cache)
    cached = [prefill.logits]
    with torch.no_grad():
        for index in range(len(tail) - 1):
            cached.append(step(model.module, tail[index : index + 1], cache, cut + index, None)[0])
        whole = forced_logits(model.module, head, tail, rows, image_token=model.profile.image_token)[0].float()
    expected, found = whole.log_softmax(-1), torch.stack(cached).log_softmax(-1)
    best = expected.topk(min(CANDIDATES, expected.shape[-1]), dim=-1).indices
    noise = float((expected - found).gather(-1, best).abs().max())
    return min(max(noise * SAFETY, FP32_BOUND), BF16_LOOSEST)


def _bound(model: Gemma3Model, generation: Generation, features: Features | None) -> float:
    if model.dtype == torch.float32:
        return FP32_BOUND
    if model.parity_bound is None:
        shown = _grey(model, len(generation.image_spans)) if features is None else features.soft_tokens
        model.parity_bound = measured_bound(model, generation.prompt_inputs, shown)
    return model.parity_bound


def _grey(model: Gemma3Model, images: int) -> torch.Tensor:
    """Soft tokens of mid-grey pictures (images, cells, hidden); one image encode."""
    size = model.profile.image_size
    with torch.no_grad():
        return model.encode_pixels(torch.zeros(1, 3, size, size)).expand(images, -1, -1)


def _what(model: Gemma3Model, generation: Generation, replay: Replay, index: int, limit: float) -> str:
    token = model.token_text(int(generation.token_ids[index]))
    written, again = float(generation.logprobs[index]), float(replay.logprobs[index])
    top = model.token_text(int(replay.top[index])) if replay.top is not None else ""
    return (
        f"The replayed pass is not the pass that wrote the words: at token {index} ({token!r}) log p was {written:.4f} "
        f"when written and is {again:.4f} in the replay, whose likeliest token is {top!r}; at most {limit:.4g} nats "
        "are allowed. Nothing is explained from it. Generate again with the same weights, pictures and version of "
        "transformers."
    )
