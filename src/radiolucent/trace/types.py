"""What is known about each generated word: how likely it was, what else could stand there, where it looked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from radiolucent.errors import MalformedInput
from radiolucent.vlm.types import Alternative


@dataclass(frozen=True, eq=False)
class TraceWord:
    """One generated word (or one Chinese character) and what the model did when it wrote it.

    Parameters
    ----------
    text, part, chars, tokens
        As in :class:`radiolucent.vlm.types.Word`.
    probability, logprob
        Of the whole word: the product (sum of logs, nats) over its tokens at temperature 1.
    entropy
        Of the distribution that its first token was drawn from, in nats.
    alternatives
        The first token's likeliest candidates, best first.
    image_reliance
        Nats that the word loses when the image is replaced; None where it was not measured.
    anatomy
        Place that the word's attended map falls on, in the prompt's language; None where not estimated.
    attended
        float32 (layers, frames, grid_rows, grid_cols): weight on each image cell, averaged over the heads and the
        word's predicting rows; None where rows were not kept.
    """

    text: str
    part: Literal["answer", "thinking"]
    chars: tuple[int, int]
    tokens: tuple[int, int]
    probability: float
    logprob: float
    entropy: float
    alternatives: tuple[Alternative, ...] = ()
    image_reliance: float | None = None
    anatomy: str | None = None
    attended: NDArray[np.float32] | None = None


@dataclass(frozen=True, eq=False)
class Trace:
    """The words in the order in which they were written. Layers are not time and not thought.

    Parameters
    ----------
    words
        Thinking first, then the answer.
    layers
        Index in the language model of each layer along the first axis of ``TraceWord.attended``.
    layer_types
        ``global`` or ``sliding`` for each of ``layers``.
    """

    words: tuple[TraceWord, ...]
    layers: tuple[int, ...] = ()
    layer_types: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.layers) != len(self.layer_types):
            raise MalformedInput(
                f"{len(self.layers)} layer indices and {len(self.layer_types)} layer types; give one type a layer."
            )
        for word in self.words:
            if word.attended is not None and (word.attended.ndim != 4 or word.attended.shape[0] != len(self.layers)):
                raise MalformedInput(
                    f"The attended map of {word.text!r} has shape {word.attended.shape}; expected "
                    f"({len(self.layers)}, frames, grid rows, grid columns)."
                )
