"""A planned film drawn: its picture, its lesions, and what is known of each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.limits.factors import Factor, blacken, crop, resize
from radiolucent.faithfulness.limits.plan import SAMPLE, USUAL, PlannedFilm
from radiolucent.phantom.anatomy import FIELD_CM
from radiolucent.phantom.conditions import AS_DRAWN, Conditions
from radiolucent.phantom.film import PhantomCase, draw_case

_FRAMING = {"border": blacken, "crop": crop}


@dataclass(frozen=True)
class PlantedLesion:
    """A lesion as it lies on the film.

    Parameters
    ----------
    side, zone, severity
        As planted; None where the finding has none.
    size_cm
        Diameter of the circle that covers as much of the film as the lesion.
    contrast
        Contrast-to-noise ratio inside its outline.
    seen_cm2
        Area of its outline that is left on the film, in cm².
    """

    code: str
    side: str | None
    zone: str | None
    severity: str | None
    size_cm: float
    contrast: float
    seen_cm2: float


@dataclass(frozen=True, eq=False)
class DrawnFilm:
    """A film ready to be read.

    Parameters
    ----------
    picture
        uint8 (rows, cols).
    masks
        Code -> bool (rows, cols) of the picture: each lesion's outline.
    distractors
        ``letter``, ``tube``, ``lead``: what lies on the film that no report mentions.
    """

    picture: NDArray[np.uint8]
    lesions: tuple[PlantedLesion, ...]
    masks: Mapping[str, NDArray[np.bool_]]
    distractors: tuple[str, ...]


def draw(film: PlannedFilm, factors: tuple[Factor, ...], edge: int) -> DrawnFilm:
    """Draw a planned film; the same plan gives the same film, to the last pixel.

    Raises
    ------
    MalformedInput
        Where the film's set is none of the factors.
    """
    if film.set in (SAMPLE, USUAL):
        conditions = AS_DRAWN if film.set == SAMPLE else Conditions(border=False)
        case = draw_case(film.seed, size=edge, conditions=conditions, pairs=False)
        return DrawnFilm(case.film, _lesions(case, case.masks), dict(case.masks), case.distractors)
    factor = next((factor for factor in factors if factor.name == film.set), None)
    if factor is None:
        raise MalformedInput(f"The set {film.set!r} is no imposed factor; known: {', '.join(f.name for f in factors)}.")
    case = draw_case(
        film.seed,
        size=edge,
        conditions=factor.conditions(film.level),
        marker=factor.name == "marker" and film.level > 0,
        pairs=False,
    )
    masks = dict(case.masks)
    picture = case.film
    if factor.change is not None:
        picture = factor.change(picture, film.level)
    if film.set in _FRAMING:  # part of a lesion may be gone
        masks = {code: _FRAMING[film.set](mask.astype(np.uint8), film.level) > 0 for code, mask in masks.items()}
    lesions = _lesions(case, masks)
    if film.set == "pixels":
        masks = {code: resize(mask.astype(np.uint8) * 255, film.level) > 127 for code, mask in masks.items()}
    return DrawnFilm(picture, lesions, masks, case.distractors)


def _lesions(case: PhantomCase, seen: Mapping[str, NDArray[np.bool_]]) -> tuple[PlantedLesion, ...]:
    """Sizes of the whole lesion, and the area of what the film still shows of it."""
    pixel = (FIELD_CM / case.film.shape[0]) ** 2
    return tuple(
        PlantedLesion(
            lesion.code,
            lesion.side,
            lesion.zone,
            lesion.severity,
            size_cm=2 * math.sqrt(float(case.masks[lesion.code].sum()) * pixel / math.pi),
            contrast=case.contrast[lesion.code],
            seen_cm2=float(seen[lesion.code].sum()) * pixel,
        )
        for lesion in case.lesions
    )
