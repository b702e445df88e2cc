"""Consistent or not, image-reliant or not: the kind of certainty behind a finding.

Agreement alone is unsafe: a medical vision-language model can be consistent while it ignores the picture (98.5 % of
one model's samples on PadChest). So the support over samples is crossed with what the image adds to the words.
"""

from __future__ import annotations

from dataclasses import replace

from radiolucent.confidence.types import FindingConfidence, Quadrant

CONSISTENT = 0.5  # the interval's lower bound must be above: a majority beyond doubt
RELIANT_NATS = 0.2  # least image lift: without the image the words are at least 18 % less likely


def quadrant(entry: FindingConfidence) -> Quadrant | None:
    """The word for a finding's certainty; None where its image lift was not measured."""
    if entry.image_lift is None:
        return None
    consistent = entry.low > CONSISTENT
    reliant = entry.image_lift >= RELIANT_NATS
    if consistent:
        return "grounded" if reliant else "not image-based"
    return "unstable" if reliant else "unreliable"


def with_image_lift(entry: FindingConfidence, nats: float) -> FindingConfidence:
    """The entry with what the image adds to the draft's words, and the quadrant that follows."""
    measured = replace(entry, image_lift=nats)
    return replace(measured, quadrant=quadrant(measured))
