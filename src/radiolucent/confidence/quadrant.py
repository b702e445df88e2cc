"""Consistent or not, image-reliant or not: the kind of certainty behind a finding. The one rule for its word.

Agreement alone is unsafe: a medical vision-language model can be consistent while it ignores the picture (98.5 % of
one model's samples on PadChest). So the support over samples is crossed with what the image adds to the words. Nor is
reliance on the image enough: words that lean on a printed marker lean on the image too.

The rule, in words
------------------
1. *Consistent*: the interval's lower bound lies above one half. *Reliant*: without the image the words lose at least
   ``RELIANT_NATS``. *Elsewhere*: the region that was verified as relied on lies outside the anatomy allowed for the
   finding, the patient's other side included; or the film shows nothing at all.
2. Reliant, but elsewhere: *evidence elsewhere* where consistent, else *unreliable*. Never *grounded*.
3. Otherwise *grounded* (both), *unstable* (reliant only), *not image-based* (consistent only), *unreliable* (neither).

``DANGEROUS`` are the words for a model that is sure of what the film does not show it; repetition cannot tell them from
*grounded*. Denials get a word only on a film that shows nothing: a blank shows nothing either, so that a denial stands
without the picture is no sign of guessing.
"""

from __future__ import annotations

from dataclasses import replace

from radiolucent.confidence.types import FindingConfidence, Quadrant
from radiolucent.vlm.types import Features

CONSISTENT = 0.5  # the interval's lower bound must be above: a majority beyond doubt
RELIANT_NATS = 0.2  # least image lift: without the image the words are at least 18 % less likely
DANGEROUS: frozenset[Quadrant] = frozenset({"not image-based", "evidence elsewhere"})

GRID = 16  # cells a side over which a film's structure is read
STRUCTURE = 0.02  # of a greyscale of width 2; noise over a cell of 56 pixels stays below it, a drawn film is above 0.1


def quadrant(entry: FindingConfidence, *, elsewhere: bool = False) -> Quadrant | None:
    """The word for a finding's certainty; None where its image lift was not measured.

    Parameters
    ----------
    elsewhere
        What the words rely on is no place where the finding can be seen.
    """
    if entry.image_lift is None:
        return None
    consistent = entry.low > CONSISTENT
    reliant = entry.image_lift >= RELIANT_NATS
    if reliant and elsewhere:
        return "evidence elsewhere" if consistent else "unreliable"
    if consistent:
        return "grounded" if reliant else "not image-based"
    return "unstable" if reliant else "unreliable"


def with_image_lift(entry: FindingConfidence, nats: float, *, elsewhere: bool = False) -> FindingConfidence:
    """The entry with what the image adds to the draft's words, and the quadrant that follows."""
    measured = replace(entry, image_lift=nats)
    return replace(measured, quadrant=quadrant(measured, elsewhere=elsewhere))


def shows_nothing(features: Features) -> bool:
    """Whether no image of a study holds structure: the means over a grid of cells differ by no more than noise."""
    pixels = features.pixels.detach().float().mean(dim=1)
    size = pixels.shape[-1]
    edge = max(1, size // GRID)
    cells = pixels[:, : edge * (size // edge), : edge * (size // edge)]
    means = cells.reshape(len(cells), size // edge, edge, size // edge, edge).mean(dim=(2, 4)).flatten(1)
    return bool((means.std(dim=1, correction=0) < STRUCTURE).all())
