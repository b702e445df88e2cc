"""The trace of a generation: for each word its probability, its alternatives, what the image added, where it attended.

Image reliance is the nats that a word loses when the picture is replaced by a blank one. One replay without the
picture serves every word of the report.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from radiolucent.attribution.attention import attention_rows
from radiolucent.attribution.model import ExplainableModel, blank_features
from radiolucent.errors import MalformedInput
from radiolucent.trace.types import Trace, TraceWord
from radiolucent.vlm.types import AttentionRows, Features, Generation, Word


def build_trace(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    *,
    reliance: bool = True,
    other: Features | None = None,
    attended: bool = True,
) -> Trace:
    """The trace of every word, thinking first, then the answer.

    Parameters
    ----------
    reliance
        Measure what the image adds to each word: one replay with a blank picture.
    other
        Picture used in the blank one's place, such as another patient's film (the same number of images).
    attended
        Keep each word's attended map for every layer: none but the rows kept while generating, else one replay.

    Raises
    ------
    MalformedInput
        Where the generation holds no words, or ``other`` does not fit.
    """
    if not generation.words:
        raise MalformedInput("The generation holds no words; there is nothing to trace.")
    lost = image_reliance(model, features, generation, other=other) if reliance else None
    rows = attention_rows(model, features, generation)[0] if attended else None
    words = tuple(
        _trace_word(word, generation, lost, rows, features)
        for word in sorted(generation.words, key=lambda word: word.part != "thinking")
    )
    types = rows.layer_types if rows is not None else ()
    return Trace(words=words, layers=tuple(range(len(types))), layer_types=types)


def image_reliance(
    model: ExplainableModel, features: Features, generation: Generation, *, other: Features | None = None
) -> NDArray[np.float64]:
    """Nats that each generated token loses when the picture is replaced: float64 (tokens,), one replay.

    Positive where the picture made the token likelier. Add over a word's tokens for the word.
    """
    replacement = blank_features(model, features) if other is None else other
    if replacement.soft_tokens.shape != features.soft_tokens.shape:
        raise MalformedInput(
            f"The replacing picture has soft tokens of shape {tuple(replacement.soft_tokens.shape)}; expected "
            f"{tuple(features.soft_tokens.shape)}: give as many images of the same model."
        )
    without = model.replay(generation, features, soft_tokens=replacement.soft_tokens)
    lost: NDArray[np.float64] = generation.logprobs.astype(np.float64) - without.logprobs.astype(np.float64)
    return lost


def attended_map(rows: AttentionRows, span: tuple[int, int], features: Features) -> NDArray[np.float32]:
    """Attention of a span's predicting rows, averaged over heads and rows: float32 (layers, frames, g, g)."""
    first, last = span
    frames, grid = len(features.geometries), features.geometries[0].grid
    weights = rows.image[:, :, first:last].astype(np.float64).mean(axis=(1, 2))
    maps: NDArray[np.float32] = weights.reshape(len(weights), frames, grid, grid).astype(np.float32)
    return maps


def _trace_word(
    word: Word,
    generation: Generation,
    lost: NDArray[np.float64] | None,
    rows: AttentionRows | None,
    features: Features,
) -> TraceWord:
    first, last = word.tokens
    logprob = float(generation.logprobs[first:last].sum(dtype=np.float64))
    return TraceWord(
        text=word.text,
        part=word.part,
        chars=word.chars,
        tokens=word.tokens,
        probability=float(np.exp(logprob)),
        logprob=logprob,
        entropy=float(generation.entropy[first]),
        alternatives=generation.alternatives[first],
        image_reliance=None if lost is None else float(lost[first:last].sum()),
        attended=None if rows is None else attended_map(rows, word.tokens, features),
    )
