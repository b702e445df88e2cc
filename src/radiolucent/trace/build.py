"""The trace of a generation: for each word its probability, its alternatives, what the image added, where it attended.

One batch of replays with the picture replaced serves every word of the report, see :mod:`radiolucent.trace.reliance`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from radiolucent.attribution.attention import attention_rows
from radiolucent.attribution.model import ExplainableModel
from radiolucent.errors import MalformedInput
from radiolucent.findings.types import Finding
from radiolucent.localize.film_places import FilmPlaces
from radiolucent.trace.kinds import Kind, word_kinds
from radiolucent.trace.marks import marked
from radiolucent.trace.reliance import DEPENDS, Reliance, image_reliance
from radiolucent.trace.summaries import summaries
from radiolucent.trace.types import Trace, TraceWord
from radiolucent.vlm.types import AttentionRows, Features, Generation, Word


def build_trace(
    model: ExplainableModel,
    features: Features,
    generation: Generation,
    *,
    reliance: bool | Reliance = True,
    other: Features | None = None,
    drawn: bool = False,
    attended: bool = True,
    findings: Sequence[Finding] = (),
    places: Sequence[FilmPlaces] = (),
    threshold: float = DEPENDS,
) -> Trace:
    """The trace of every word, thinking first, then the answer.

    Parameters
    ----------
    reliance
        Measure what the image adds to each word: one replay with a blank picture, one more with ``other``; or what was
        measured before.
    other
        Another patient's film (as many images as the study), shown beside the blank.
    drawn
        Whether ``other`` is the packaged drawing.
    attended
        Keep each word's attended map for every layer: none but the rows kept while generating, else one replay.
    findings
        Of the answer: what the marks and the summaries are told by.
    places
        One for each image: names the anatomy that each word's attention falls on.
    threshold
        Nats from which a clinical word counts as depending on the image.

    Raises
    ------
    MalformedInput
        Where the generation holds no words, or ``other`` or ``places`` do not fit.
    """
    if not generation.words:
        raise MalformedInput("The generation holds no words; there is nothing to trace.")
    if places and len(places) != len(features.geometries):
        raise MalformedInput(f"{len(places)} places for {len(features.geometries)} images; give one an image.")
    lost = reliance if isinstance(reliance, Reliance) else None
    if reliance is True:
        lost = image_reliance(model, features, generation, other=other)
    rows = attention_rows(model, features, generation)[0] if attended else None
    ordered = sorted(generation.words, key=lambda word: word.part != "thinking")
    kinds = _kinds(ordered, generation)
    traced = [
        _trace_word(word, kind, generation, lost, rows, features) for word, kind in zip(ordered, kinds, strict=True)
    ]
    named = _anatomy(traced, places, generation.prompt.language)
    traced = [replace(word, anatomy=place) for word, place in zip(traced, named, strict=True)]
    words = marked(traced, findings, generation.text, threshold)
    types = rows.layer_types if rows is not None else ()
    sentences, of_findings = summaries(words, generation, findings)
    return Trace(
        words=words,
        layers=tuple(range(len(types))),
        layer_types=types,
        replaced_by="" if lost is None or lost.other is None else "drawn" if drawn else "given",
        threshold=threshold if lost is not None else 0.0,
        sentences=sentences,
        findings=of_findings,
    )


def attended_map(rows: AttentionRows, span: tuple[int, int], features: Features) -> NDArray[np.float32]:
    """Attention of a span's predicting rows, averaged over heads and rows: float32 (layers, frames, g, g)."""
    first, last = span
    frames, grid = len(features.geometries), features.geometries[0].grid
    weights = rows.image[:, :, first:last].astype(np.float64).mean(axis=(1, 2))
    maps: NDArray[np.float32] = weights.reshape(len(weights), frames, grid, grid).astype(np.float32)
    return maps


def _kinds(words: Sequence[Word], generation: Generation) -> list[Kind]:
    language = generation.prompt.language
    kinds: dict[int, Kind] = {}
    for part, text in (("thinking", generation.thinking), ("answer", generation.text)):
        indices = [index for index, word in enumerate(words) if word.part == part]
        found = word_kinds(text, [words[index].chars for index in indices], language)
        kinds |= dict(zip(indices, found, strict=True))
    return [kinds[index] for index in range(len(words))]


def _trace_word(
    word: Word,
    kind: Kind,
    generation: Generation,
    lost: Reliance | None,
    rows: AttentionRows | None,
    features: Features,
) -> TraceWord:
    first, last = word.tokens
    logprob = float(generation.logprobs[first:last].sum(dtype=np.float64))
    attended = None if rows is None else attended_map(rows, word.tokens, features)
    return TraceWord(
        text=word.text,
        part=word.part,
        chars=word.chars,
        tokens=word.tokens,
        probability=float(np.exp(logprob)),
        logprob=logprob,
        entropy=float(generation.entropy[first]),
        alternatives=generation.alternatives[first],
        image_reliance=None if lost is None else lost.of(word.tokens),
        reliance_blank=None if lost is None else float(lost.blank[first:last].sum()),
        reliance_other=None if lost is None or lost.other is None else float(lost.other[first:last].sum()),
        kind=kind,
        attended=attended,
    )


def _anatomy(words: Sequence[TraceWord], places: Sequence[FilmPlaces], language: str) -> list[str | None]:
    """For each word the place that it attended more than the report's words usually do (their median, cell by cell).

    Cells that every word attends (attention sinks) would name one and the same place for all words.
    """
    shares = {
        index: mean / total
        for index, word in enumerate(words)
        if word.attended is not None
        and any(character.isalnum() for character in word.text)
        and (total := float((mean := word.attended.mean(axis=0, dtype=np.float64)).sum())) > 0
    }
    found: list[str | None] = [None] * len(words)
    if not shares or not places:
        return found
    usual = np.median(list(shares.values()), axis=0) if len(shares) > 1 else 0.0
    for index, share in shares.items():
        above = np.clip(share - usual, 0, None)  # frames, grid, grid
        strongest = int(above.max(axis=(1, 2)).argmax())
        place = places[strongest].of_peak(above[strongest])
        found[index] = None if place is None else place.text(language) or None
    return found
