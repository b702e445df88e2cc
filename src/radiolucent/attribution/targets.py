"""What a map explains: from words, a word or a span to a checked target, and its score on many pictures at once."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from radiolucent.attribution.model import ExplainableModel, target_scores
from radiolucent.errors import MalformedInput, TargetNotFound
from radiolucent.findings.types import Finding
from radiolucent.vlm.target import find_target
from radiolucent.vlm.types import Features, Generation, Target, Word, share

BATCH = 16  # pictures scored in one pass


def resolve_target(generation: Generation, target: Target | Word | str) -> Target:
    """The target that a span, a word or words in the text name.

    Parameters
    ----------
    target
        A :class:`Target`; a :class:`Word` of the generation; or words as they stand in the answer (first occurrence).

    Raises
    ------
    TargetNotFound
        Where the words do not occur, or the span lies outside the generation.
    """
    if isinstance(target, str):
        return find_target(generation, target)
    if isinstance(target, Word):
        if target not in generation.words:
            raise TargetNotFound(f"The word {target.text!r} at {target.chars} is none of this generation's words.")
        target = Target(tokens=target.tokens, label=target.text)
    first, last = target.tokens
    if not 0 <= first < last <= len(generation.token_ids):
        raise TargetNotFound(
            f"The span {target.tokens} is not inside the {len(generation.token_ids)} generated tokens; expected "
            "0 <= first < last <= tokens."
        )
    if target.foil is not None and not target.foil:
        raise TargetNotFound("The foil is empty; give the tokens of the contrasting words, or None for no contrast.")
    return target


def passes(targets: Sequence[Target]) -> int:
    """Teacher-forced passes that one picture costs: one for all spans as written, one more for each distinct foil."""
    return 1 + len({(target.tokens[0], target.foil) for target in targets if target.foil is not None})


def soft_rows(features: Features) -> torch.Tensor:
    """The study's soft tokens as one row (1, images * cells, hidden), detached, at least in single precision.

    Means, paths and gradients of bfloat16 tokens are taken in float32; the model casts back to its own.
    """
    return in_single_precision(features.soft_tokens.detach()).flatten(0, 1).unsqueeze(0)


def in_single_precision(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor in float32, or as it is where it is finer."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def scores(
    model: ExplainableModel,
    generation: Generation,
    soft_tokens: torch.Tensor,
    targets: Sequence[Target],
    *,
    batch: int = BATCH,
) -> torch.Tensor:
    """Scores of many pictures without gradients, ``batch`` at a time.

    Parameters
    ----------
    soft_tokens
        (pictures, images * cells, hidden).

    Returns
    -------
    float64 (pictures, targets) in nats, on the CPU.
    """
    if batch < 1:
        raise MalformedInput(f"A batch of {batch} pictures scores nothing; use at least 1.")
    with torch.no_grad():
        parts = [target_scores(model, generation, rows, targets) for rows in torch.split(soft_tokens, batch)]
    return torch.cat(parts).to(device="cpu", dtype=torch.float64)


def finding_target(generation: Generation, finding: Finding, others: Sequence[Finding] = ()) -> Target:
    """The target of a finding: every token that says it, its side and place included.

    In Chinese the side comes first and carries the decision ("右侧胸腔积液"), in English the finding does: the
    evidence's words alone would miss one or the other. So the span is the finding's sentence, or, where the sentence
    holds other findings too, its share of it: from the end of the one before to the start of the one after.

    Parameters
    ----------
    others
        Findings of the same text; those in the finding's sentence bound its span.

    Raises
    ------
    TargetNotFound
        Where no word of the answer lies in the finding's characters.
    """
    said = finding_chars(finding, others)
    spans = [
        word.tokens
        for word in generation.words
        if word.part == "answer" and share(word.chars, said) and any(character.isalnum() for character in word.text)
    ]
    if not spans:
        raise TargetNotFound(
            f"No word of the answer lies at characters {said} ({finding.words!r}); extract the findings from "
            "this generation's own text."
        )
    tokens = (min(start for start, _ in spans), max(stop for _, stop in spans))
    return Target(tokens=tokens, label=finding.words or generation.text[slice(*said)])


def finding_chars(finding: Finding, others: Sequence[Finding] = ()) -> tuple[int, int]:
    """Span [first, last) of the characters that say a finding, its side and place included."""
    first, last = finding.chars
    start, stop = finding.sentence
    if not start <= first < last <= stop:  # no sentence is known
        return first, last
    before = [other.chars[1] for other in others if start <= other.chars[0] and other.chars[1] <= first]
    after = [other.chars[0] for other in others if other.chars[0] >= last and other.chars[1] <= stop]
    return max([start, *before]), min([stop, *after])
