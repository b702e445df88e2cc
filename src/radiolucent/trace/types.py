"""What is known about each generated word: how likely it was, what else could stand there, where it looked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from radiolucent.errors import MalformedInput
from radiolucent.trace.kinds import CLINICAL, Kind
from radiolucent.vlm.types import Alternative

Mark = Literal["seen", "guessed", "unknown"]
"""Of a clinical word: it depends on the image by the measured rule, it does not, or that was not measured."""

Strength = Literal["verified", "weak", "not shown"]
Stage = Literal["question", "looked", "named", "weighed", "concluded"]
Span = tuple[int, int]


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
        Nats that the word loses when the image is replaced: the larger of ``reliance_blank`` and ``reliance_other``,
        added over its tokens; None where it was not measured.
    reliance_blank, reliance_other
        Nats lost with a blank picture, and with another patient's film.
    kind
        What the word does in the report.
    mark
        Of a clinical word; None for grammar, punctuation and thinking.
    anatomy
        Place that the word attended more than the other words did, in the prompt's language; None where not estimated.
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
    reliance_blank: float | None = None
    reliance_other: float | None = None
    kind: Kind = "grammar"
    mark: Mark | None = None

    @property
    def clinical(self) -> bool:
        """Whether the word states something of the patient rather than being grammar or punctuation."""
        return self.kind in CLINICAL


@dataclass(frozen=True)
class Summary:
    """A sentence or a finding of the text in one line.

    Parameters
    ----------
    of
        A finding's id; empty for a sentence.
    part, chars
        Where it stands.
    probability
        Of all its words as written, one after the other.
    least_certain
        Index in ``Trace.words`` of its least probable clinical word (of any word where none is clinical).
    image_reliance
        Largest of its clinical words, in nats; None where it was not measured.
    seen, clinical
        Clinical words marked as depending on the image, and all clinical words.
    place
        Where its clinical words attended most, in the prompt's language; None where not estimated.
    nearly
        (index in ``Trace.words``, token, probability): what was nearly written in a clinical word's place.
    """

    of: str
    part: Literal["answer", "thinking"]
    chars: Span
    probability: float
    least_certain: int
    image_reliance: float | None = None
    seen: int = 0
    clinical: int = 0
    place: str | None = None
    nearly: tuple[tuple[int, str, float], ...] = ()


@dataclass(frozen=True)
class Link:
    """What a step of the chain rests on, and how strongly that was shown.

    Parameters
    ----------
    kind
        ``words``: written and scored; ``map``: a map of a finding; ``intervention``: something was hidden.
    en, zh
        What was found, in one sentence.
    method, finding
        Key of the map that it speaks of; empty where there is none.
    """

    kind: Literal["words", "map", "intervention"]
    strength: Strength
    en: str
    zh: str
    method: str = ""
    finding: str = ""


@dataclass(frozen=True)
class ChainStep:
    """One step from the question to the conclusion, in the order in which the words were written.

    Parameters
    ----------
    en, zh
        The step in one sentence.
    chars
        Spans [first, last) of the answer that it speaks of.
    words
        Indices in ``Trace.words`` that it speaks of.
    strength
        The strongest of its links; ``not shown`` where it has none.
    finding
        Id of the finding that was weighed; empty otherwise.
    """

    stage: Stage
    en: str
    zh: str
    chars: tuple[Span, ...] = ()
    words: tuple[int, ...] = ()
    links: tuple[Link, ...] = ()
    strength: Strength = "not shown"
    finding: str = ""

    @property
    def shown_links(self) -> tuple[Link, ...]:
        """Those that are shown with the step: the contrasts, which speak of no map, stand beside the chain."""
        return tuple(link for link in self.links if link.method or link.kind != "intervention")


@dataclass(frozen=True, eq=False)
class Contrast:
    """Why the report says this and not that: the choice at the word where the two part.

    Parameters
    ----------
    finding
        Id of the finding.
    about
        ``presence`` (there or not), ``side``, or ``words`` for a foil of the caller's own.
    said, foil
        The token written where the two part with the words around it, and the foil in its place.
    token, foil_ids
        Index of that token among the generated ones, and the (one) token that the foil has there.
    chars
        Span of the word in the answer.
    margin
        log p(said) - log p(foil) at that place, in nats.
    margin_blank, margin_other
        The same with a blank picture, and with another patient's film; None where it was not measured.
    margin_hidden, margin_control
        The same with the region hidden, and with its control hidden; None where no region was known.
    region
        bool (frames, grid_rows, grid_cols) that was hidden; None where none was known.
    strength
        ``verified``: the region carries the margin and its control does not; ``weak``: the picture does but no region
        was shown to; ``not shown``: the margin stands without the picture, or is against what was written.
    en, zh
        The answer in one or two sentences; :meth:`ask` gives the question.
    """

    finding: str
    about: Literal["presence", "side", "words"]
    said: str
    foil: str
    token: int
    foil_ids: tuple[int, ...]
    chars: Span
    margin: float
    margin_blank: float | None = None
    margin_other: float | None = None
    margin_hidden: float | None = None
    margin_control: float | None = None
    region: NDArray[np.bool_] | None = None
    place: str | None = None
    strength: Strength = "not shown"
    en: str = ""
    zh: str = ""

    def ask(self, language: str) -> str:
        """The question that is answered: why this and not that."""
        return (
            f"为何写“{self.said}”而非“{self.foil}”？"
            if language == "zh"
            else f"Why “{self.said}” and not “{self.foil}”?"
        )


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
        ``global`` or ``sliding`` for each of ``layers``: a sliding layer cannot see what lies further back than its
        window, which may be a whole picture.
    replaced_by
        What stood in the image's place beside the blank: ``drawn`` (the packaged film), ``given``, or empty.
    threshold
        Nats of image reliance from which a clinical word counts as depending on the image.
    sentences, findings
        Summaries, in the order of the text.
    chain
        The decision chain.
    contrasts
        Why this and not that.
    """

    words: tuple[TraceWord, ...]
    layers: tuple[int, ...] = ()
    layer_types: tuple[str, ...] = ()
    replaced_by: Literal["", "drawn", "given"] = ""
    threshold: float = 0.0
    sentences: tuple[Summary, ...] = ()
    findings: tuple[Summary, ...] = ()
    chain: tuple[ChainStep, ...] = ()
    contrasts: tuple[Contrast, ...] = ()

    def summary_of(self, finding_id: str) -> Summary | None:
        """A finding's summary; None where none of its words was traced."""
        return next((one for one in self.findings if one.of == finding_id), None)

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
