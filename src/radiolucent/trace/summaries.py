"""Sentences and findings in one line: how sure, which word least, what the image added, where, what came near."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np

from radiolucent.attribution.targets import finding_chars
from radiolucent.findings.rules import load_rules
from radiolucent.findings.sentences import split_sentences
from radiolucent.findings.types import Finding
from radiolucent.trace.types import Span, Summary, TraceWord
from radiolucent.vlm.types import Generation, share

NEARLY = 0.05  # probability from which another token counts as nearly written


def summaries(
    words: Sequence[TraceWord], generation: Generation, findings: Sequence[Finding]
) -> tuple[tuple[Summary, ...], tuple[Summary, ...]]:
    """Of the sentences (thinking first, then the answer), and of the answer's findings.

    Sentences without a word, and findings of which no word was traced, have none.
    """
    sentences = []
    for part, text in (("thinking", generation.thinking), ("answer", generation.text)):
        for span in _sentences(text, generation.prompt.language):
            sentences.append(_summary("", "thinking" if part == "thinking" else "answer", span, words, generation))
    of_findings = [
        _summary(finding.id, "answer", finding_chars(finding, findings), words, generation) for finding in findings
    ]
    return tuple(one for one in sentences if one is not None), tuple(one for one in of_findings if one is not None)


def nearly_written(word: TraceWord) -> list[tuple[str, float]]:
    """Other tokens that had at least ``NEARLY`` of the probability where the word begins, likeliest first."""
    said = word.text.strip().lower()
    found = []
    for other in word.alternatives:
        text, probability = other.text.strip(), float(np.exp(other.logprob))
        if probability < NEARLY or not any(character.isalnum() for character in text):
            continue
        if not said.startswith(text.lower()):  # the word's own first token
            found.append((text, probability))
    return found


def _sentences(text: str, language: str) -> Iterator[Span]:
    for sentence in split_sentences(text, (load_rules(language),)):
        yield sentence.first, sentence.last


def _summary(
    of: str, part: Literal["answer", "thinking"], span: Span, words: Sequence[TraceWord], generation: Generation
) -> Summary | None:
    inside = [
        index
        for index, word in enumerate(words)
        if word.part == part and share(word.chars, span) and any(character.isalnum() for character in word.text)
    ]
    if not inside:
        return None
    clinical = [index for index in inside if words[index].clinical]
    shown = clinical or inside
    least = min(shown, key=lambda index: words[index].logprob)
    reliances = [value for index in shown if (value := words[index].image_reliance) is not None]
    tokens = sorted({token for index in inside for token in range(*words[index].tokens)})  # neighbours may share one
    places = Counter(place for index in shown if (place := words[index].anatomy) is not None)
    return Summary(
        of=of,
        part=part,
        chars=span,
        probability=float(np.exp(generation.logprobs[tokens].sum(dtype=np.float64))),
        least_certain=least,
        image_reliance=max(reliances) if reliances else None,
        seen=sum(words[index].mark == "seen" for index in clinical),
        clinical=len(clinical),
        place=places.most_common(1)[0][0] if places else None,
        nearly=tuple((index, *other) for index in clinical for other in nearly_written(words[index])),
    )
