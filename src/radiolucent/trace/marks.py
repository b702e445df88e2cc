"""Seen or guessed: whether what a clinical word states depends on the image, by a measured rule.

What a report states comes in pieces: whether a finding is there ("No pneumothorax", "heart … enlarged"), its side, its
place, its degree. Within a piece the first word settles the rest ("pneumothorax" is certain once "No" stands in a list
that is always the same), so a piece is judged by its word that depends on the image most: ``seen`` from ``threshold``
nats on, ``guessed`` below, ``unknown`` where nothing was measured. A side is a piece of its own: "pneumothorax on the
left" can have a finding that was seen and a side that was guessed.

In Chinese the side often comes first and already decides that something is there (左侧大量气胸 against 未见气胸): a
finding whose own words the words before them settle, whatever the picture, is judged by those.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from radiolucent.attribution.targets import finding_chars
from radiolucent.findings.types import Finding
from radiolucent.trace.kinds import CLINICAL, Kind
from radiolucent.trace.types import Mark, TraceWord
from radiolucent.vlm.types import share

MARK_WORDS: dict[Mark, tuple[str, str]] = {
    "seen": ("depends on the image", "依赖图像"),
    "guessed": ("does not depend on the image", "不依赖图像"),
    "unknown": ("dependence on the image not measured", "是否依赖图像未测量"),
}
MARK_MEANINGS: dict[Mark, tuple[str, str]] = {
    "seen": (
        "Judged by the statement's deciding word: with a blank or another patient's film in the image's place it loses "
        "probability. It is no proof that it is right.",
        "按该描述的决定性词语判断：换成空白图像或他人影像后其概率下降。这并不证明描述正确。",
    ),
    "guessed": (
        "The model would have written this for a blank and for another patient's film too: check it against the image.",
        "换成空白图像或他人影像，模型仍会这样写：请对照影像核实。",
    ),
    "unknown": (
        "This level did not measure what the image adds to the words.",
        "该级别未测量图像对词语的作用。",
    ),
}
SETTLED = 0.9  # probability of a word, with the picture and with each replacement, from which it had no rival

_ASSERTION: frozenset[Kind] = frozenset(("finding", "negation", "hedge"))


def marked(
    words: Sequence[TraceWord], findings: Sequence[Finding], text: str, threshold: float
) -> tuple[TraceWord, ...]:
    """The words with their marks; only clinical words of the answer get one.

    Parameters
    ----------
    findings
        Of the answer, which they cut into statements; clinical words outside every finding are taken by sentence.
    text
        The answer.
    threshold
        Nats of image reliance from which a piece counts as seen.
    """
    pieces: dict[tuple[int, str], list[int]] = defaultdict(list)
    spans = [(finding, finding_chars(finding, findings)) for finding in findings]
    for index, word in enumerate(words):
        if word.part == "answer" and word.kind in CLINICAL:
            pieces[_piece(word, spans, text)].append(index)
    marks: dict[int, Mark] = {}
    for (statement, piece), indices in pieces.items():
        judged = indices
        if piece == "assertion" and all(_settled(words[index]) for index in indices):
            before = [others for (of, _), others in pieces.items() if of == statement]
            judged = [index for others in before for index in others if index <= indices[-1]]
        measured = [words[index].image_reliance for index in judged]
        known = [value for value in measured if value is not None]
        mark: Mark = "unknown" if not known else "seen" if max(known) >= threshold else "guessed"
        marks |= dict.fromkeys(indices, mark)
    return tuple(replace(word, mark=marks.get(index)) for index, word in enumerate(words))


def _settled(word: TraceWord) -> bool:
    lost = [value for value in (word.reliance_blank, word.reliance_other) if value is not None]
    return word.logprob - max(lost, default=0.0) >= math.log(SETTLED) and word.logprob >= math.log(SETTLED)


def _piece(word: TraceWord, spans: Sequence[tuple[Finding, tuple[int, int]]], text: str) -> tuple[int, str]:
    """(the statement's first character, the piece of it) that a word belongs to."""
    for finding, said in spans:
        if share(word.chars, said):
            subject = word.kind == "anatomy" and finding.chars[0] <= word.chars[0] < finding.chars[1]
            whole = finding.polarity == "absent"  # 两肺未见实变: where nothing is, no place is claimed
            return said[0], "assertion" if whole or subject or word.kind in _ASSERTION else word.kind
    start = max(text.rfind(stop, 0, word.chars[0]) for stop in ".。;；\n") + 1
    return start, "assertion" if word.kind in _ASSERTION or word.kind == "anatomy" else word.kind
