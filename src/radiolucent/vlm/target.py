"""What is explained: spans of the generation, found by their words and scored teacher-forced."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from radiolucent.errors import TargetNotFound
from radiolucent.vlm.gemma3 import Gemma3Model
from radiolucent.vlm.types import Generation, Target


def find_target(
    generation: Generation,
    text: str,
    *,
    occurrence: int = 0,
    foil: str | None = None,
    model: Gemma3Model | None = None,
) -> Target:
    """The span of generated tokens that carries a piece of the answer.

    Parameters
    ----------
    text
        As it stands in ``generation.text``. Where it begins or ends inside a word, the whole word's tokens are taken.
    occurrence
        Which occurrence, from 0.
    foil
        Words for the contrast, such as ``"no effusion"``; written in the text's place.
    model
        Needed to turn the foil into tokens.

    Raises
    ------
    TargetNotFound
        Where the text does not occur (that often), or the foil cannot be written with the model's vocabulary.
    """
    first, last = _occurrence(generation, text, occurrence)
    carriers = [word for word in generation.words if word.part == "answer" and _overlap(word.chars, (first, last))]
    if not carriers:
        raise TargetNotFound(f"{text!r} holds no word; give at least one word or Chinese character of the answer.")
    tokens = min(word.tokens[0] for word in carriers), max(word.tokens[1] for word in carriers)
    if foil is None:
        return Target(tokens=tokens, label=text)
    start, stop = min(word.chars[0] for word in carriers), max(word.chars[1] for word in carriers)
    written = generation.text[start:first] + foil + generation.text[last:stop]
    return Target(tokens=tokens, foil=_foil_tokens(generation, tokens, written, model), label=text)


def target_scores(
    model: Gemma3Model, generation: Generation, soft_tokens: torch.Tensor, targets: Sequence[Target]
) -> torch.Tensor:
    """log p(span), less log p(foil) where there is one, for each picture and target; nats, differentiable.

    One pass serves every span as written; each distinct foil at a place costs one more.

    Parameters
    ----------
    soft_tokens
        (B, images * cells, hidden) or (B, images, cells, hidden).

    Returns
    -------
    float32 (B, len(targets))
    """
    for target in targets:
        first, last = target.tokens
        if not 0 <= first < last <= len(generation.token_ids) or target.foil == ():
            raise TargetNotFound(
                f"The target {target.label!r} spans tokens {target.tokens} with foil {target.foil}; expected a span "
                f"inside the {len(generation.token_ids)} generated tokens and a foil of at least one token."
            )
    inputs, ids = generation.prompt_inputs, generation.token_ids
    wanted = sorted({index for target in targets for index in range(*target.tokens)})
    logprobs = model.token_logprobs(inputs, ids, soft_tokens, wanted=wanted)
    place = {index: column for column, index in enumerate(wanted)}
    foils: dict[tuple[int, tuple[int, ...]], torch.Tensor] = {}
    scores = []
    for target in targets:
        first, last = target.tokens
        score = logprobs[:, [place[index] for index in range(first, last)]].sum(-1)
        if target.foil is not None:
            key = (first, target.foil)
            if key not in foils:
                written = np.concatenate((ids[:first], np.asarray(target.foil, dtype=np.int64)))
                rows = range(first, len(written))
                foils[key] = model.token_logprobs(inputs, written, soft_tokens, wanted=rows).sum(-1)
            score = score - foils[key]
        scores.append(score)
    if not scores:
        return torch.zeros((len(soft_tokens), 0), device=soft_tokens.device)
    return torch.stack(scores, dim=1)


def _occurrence(generation: Generation, text: str, occurrence: int) -> tuple[int, int]:
    if not text:
        raise TargetNotFound("The text to explain is empty; give words of the answer.")
    starts = []
    start = generation.text.find(text)
    while start >= 0:
        starts.append(start)
        start = generation.text.find(text, start + 1)
    if not 0 <= occurrence < len(starts):
        near = generation.text.lower().find(text.lower())
        hint = f" It reads {generation.text[near : near + len(text)]!r} there." if not starts and near >= 0 else ""
        raise TargetNotFound(
            f"{text!r} occurs {len(starts)} times in the answer; occurrence {occurrence} was asked for.{hint} "
            f"The answer: {generation.text[:200]!r}"
        )
    return starts[occurrence], starts[occurrence] + len(text)


def _foil_tokens(
    generation: Generation, tokens: tuple[int, int], written: str, model: Gemma3Model | None
) -> tuple[int, ...]:
    """Tokens of the foil in the span's place, with the space that the span's first token carries."""
    if model is None:
        raise TargetNotFound("A foil is written with the model's tokens; give model=.")
    if not written.strip():
        raise TargetNotFound("The foil is empty; give the contrasting words, or None for no contrast.")
    span = model.tokenizer.decode(
        generation.token_ids[slice(*tokens)].tolist(), skip_special_tokens=True, clean_up_tokenization_spaces=False
    )
    lead = span[: len(span) - len(span.lstrip())]
    ids = tuple(int(token) for token in model.tokenizer(lead + written, add_special_tokens=False)["input_ids"])
    back = model.tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)
    if not ids or back.strip() != written.strip():
        raise TargetNotFound(f"The foil {written!r} cannot be written with this model's tokens; choose other words.")
    return ids


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] < other[1] and one[1] > other[0]


def as_tokens(model: Gemma3Model, text: str) -> NDArray[np.int64]:
    """Tokens of a text as the model would write it, int64 (tokens,)."""
    return np.asarray(model.tokenizer(text, add_special_tokens=False)["input_ids"], dtype=np.int64)
