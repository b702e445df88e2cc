"""Values that travel between a model adapter and everything above it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from radiolucent.errors import MalformedInput
from radiolucent.study.geometry import Geometry

if TYPE_CHECKING:
    import torch

Language = Literal["en", "zh"]
MAX_QUESTION = 4000  # characters; far above any clinical question, far below what would exhaust memory


@dataclass(frozen=True)
class Prompt:
    """A question about the study.

    Raises
    ------
    MalformedInput
        Where the question is empty, too long, or holds NUL or lone surrogates.
    """

    question: str
    language: Language = "en"
    thinking: bool = False

    def __post_init__(self) -> None:
        text = self.question
        if not text.strip():
            raise MalformedInput("The question is empty; ask something, e.g. 'Describe the main findings.'")
        if len(text) > MAX_QUESTION:
            raise MalformedInput(f"The question has {len(text)} characters; at most {MAX_QUESTION} are accepted.")
        if "\x00" in text or any(0xD800 <= ord(character) <= 0xDFFF for character in text):
            raise MalformedInput("The question holds NUL or lone surrogate characters; remove them.")
        if self.language not in ("en", "zh"):
            raise MalformedInput(f"Language {self.language!r} is unknown; use 'en' or 'zh'.")


def language_of(text: str) -> Language:
    """``zh`` where a text holds Chinese characters, else ``en``."""
    return "zh" if any("\u4e00" <= character <= "\u9fff" for character in text) else "en"


def share(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two spans [first, last) share a place.

    >>> share((0, 3), (2, 5)), share((0, 3), (3, 5))
    (True, False)
    """
    return one[0] < other[1] and one[1] > other[0]


@dataclass(frozen=True)
class Word:
    """One word (or one Chinese character) of a generation.

    Parameters
    ----------
    chars
        Span [first, last) in ``Generation.text`` (or in ``Generation.thinking`` for thinking words).
    tokens
        Span [first, last) of generated-token indices; neighbours may share a token, never miss one of theirs.
    """

    text: str
    chars: tuple[int, int]
    tokens: tuple[int, int]
    part: Literal["answer", "thinking"] = "answer"


@dataclass(frozen=True, eq=False)
class PromptInputs:
    """The prompt as token arrays, each (prompt_length,), image soft tokens already expanded."""

    input_ids: NDArray[np.int64]
    token_type_ids: NDArray[np.int64]
    image_spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True, eq=False)
class AttentionRows:
    """Attention of the predicting rows: row ``p - 1`` for generated token ``p``. Each row adds to 1.

    Parameters
    ----------
    image
        float32 or float16 (layers, heads, tokens, images * cells): weight on each image soft token.
    prompt_text, generated
        float32 (layers, heads, tokens): summed weight on the prompt's text and on generated tokens.
    layer_types
        ``global`` or ``sliding`` for each layer.
    """

    image: NDArray[np.floating]
    prompt_text: NDArray[np.float32]
    generated: NDArray[np.float32]
    layer_types: tuple[str, ...]


@dataclass(frozen=True)
class Alternative:
    """A token that could have been written instead."""

    token_id: int
    text: str
    logprob: float


@dataclass(frozen=True, eq=False)
class Generation:
    """What the model wrote, and everything needed to replay the very same pass.

    Parameters
    ----------
    text
        The answer without special tokens; ``thinking`` holds the thought, empty where there is none.
    token_ids
        int64 (tokens,): every generated token, the end token included.
    logprobs, entropy
        float32 (tokens,): log p of each token and entropy of its distribution, in nats, at temperature 1.
    alternatives
        For each token its five likeliest candidates, best first.
    """

    text: str
    thinking: str
    words: tuple[Word, ...]
    token_ids: NDArray[np.int64]
    logprobs: NDArray[np.float32]
    entropy: NDArray[np.float32]
    alternatives: tuple[tuple[Alternative, ...], ...]
    image_spans: tuple[tuple[int, int], ...]
    prompt: Prompt
    prompt_inputs: PromptInputs
    rows: AttentionRows | None = None
    finish: Literal["stop", "length"] = "stop"


@dataclass(frozen=True)
class Target:
    """What is explained: log p(span) - log p(foil span), teacher-forced.

    Parameters
    ----------
    tokens
        Span [first, last) of generated-token indices.
    foil
        Token ids written in the span's place for the contrast; None for log p of the span alone.
    label
        Words shown to people for the span.
    """

    tokens: tuple[int, int]
    foil: tuple[int, ...] | None = None
    label: str = ""


@dataclass(frozen=True, eq=False)
class Features:
    """A study as the language model receives it.

    Parameters
    ----------
    soft_tokens
        (images, cells, hidden): the projector's output.
    pixels
        (images, 3, size, size): what the vision tower was shown, normalised.
    geometries
        One for each image, its ``model_size`` and ``grid`` set to the model's.
    key
        Content digest of pixels and weights.
    frames
        For each image the index of the study's frame it shows (volumes are sampled).
    layout
        ``volume`` where the images are CT slices, interleaved with their numbers in the prompt.
    """

    soft_tokens: torch.Tensor
    pixels: torch.Tensor
    geometries: tuple[Geometry, ...]
    key: str
    frames: tuple[int, ...] = ()
    layout: Literal["film", "volume"] = "film"


@dataclass(frozen=True, eq=False)
class Replay:
    """One teacher-forced pass over prompt and generation.

    Parameters
    ----------
    logprobs, entropy
        float32 (tokens,), nats.
    rows
        Attention of the predicting rows where they were asked for.
    top
        int64 (tokens,): likeliest token at each position; ``top_logprob`` float32 (tokens,) its log p.
    """

    logprobs: NDArray[np.float32]
    entropy: NDArray[np.float32]
    rows: AttentionRows | None = None
    top: NDArray[np.int64] | None = None
    top_logprob: NDArray[np.float32] | None = None
