"""A run's confidence with its probes and, where a calibration fits the run, with probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from radiolucent.confidence.calibration import Calibration, CalibrationMismatch, load
from radiolucent.confidence.probe import ProbeAnswer
from radiolucent.confidence.signals import signals
from radiolucent.confidence.types import Confidence, FindingConfidence
from radiolucent.vlm.types import Generation, Prompt

BESIDE_WEIGHTS = "calibration.{language}.json"


def beside_weights(folder: Path | None, weights_sha256: str, prompt: Prompt) -> Calibration | None:
    """The calibration that lies beside the weights, where there is one that fits; None otherwise.

    Raises
    ------
    MalformedInput
        Where the file is damaged: it is not passed over in silence.
    """
    path = None if folder is None else folder / BESIDE_WEIGHTS.format(language=prompt.language)
    if path is None or not path.is_file():
        return None
    found = load(path)
    try:
        found.check(weights_sha256, prompt.question, prompt.language)
    except CalibrationMismatch:
        return None  # fitted for another question: what follows is said to be uncalibrated
    return found


def with_probes(
    confidence: Confidence,
    asked: Mapping[str, ProbeAnswer],
    generation: Generation,
    tokens: Sequence[tuple[int, int] | None],
    calibration: Calibration | None,
) -> Confidence:
    """Each entry with the direct question's answer, and with a probability where there is a calibration.

    Parameters
    ----------
    asked
        Code -> the direct question, over a blank picture and another patient's film too.
    tokens
        For each entry the span of the generated tokens that say it; None where they were not found: no probability.
    """
    entries = tuple(
        _with_probe(entry, asked.get(entry.code), generation, span, calibration)
        for entry, span in zip(confidence.findings, tokens, strict=True)
    )
    if calibration is None or not any(entry.probability is not None for entry in entries):
        return replace(confidence, findings=entries)
    note = calibration.note(generation.prompt.language)
    return replace(confidence, findings=entries, calibrated=True, note=note)


def _with_probe(
    entry: FindingConfidence,
    answer: ProbeAnswer | None,
    generation: Generation,
    span: tuple[int, int] | None,
    calibration: Calibration | None,
) -> FindingConfidence:
    if answer is None:
        return entry
    sign = -1.0 if entry.polarity == "absent" else 1.0
    probed = replace(
        entry,
        yes_probability=answer.yes,
        lift_blank=None if answer.lift is None else sign * answer.lift,
        lift_other=None if answer.lift_other is None else sign * answer.lift_other,
    )
    if calibration is None or span is None:
        return probed
    known = signals(entry, answer, generation, span)
    return replace(probed, probability=calibration.probability(entry.code, entry.polarity, known))
