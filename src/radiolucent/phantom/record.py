"""The truth of a synthetic film: which lesions were planted, where, and how large."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

CODES = ("cardiomegaly", "pleural_effusion", "pneumothorax", "consolidation", "nodule")
ZONES = ("upper", "middle", "lower")
ZONED = ("consolidation", "nodule")

Code = Literal["cardiomegaly", "pleural_effusion", "pneumothorax", "consolidation", "nodule"]
PlantedSide = Literal["left", "right", "bilateral"]
PlantedZone = Literal["upper", "middle", "lower"]
PlantedSize = Literal["mild", "moderate", "severe"]


@dataclass(frozen=True)
class Lesion:
    """One planted lesion.

    Parameters
    ----------
    side
        The patient's side; None for the heart.
    zone
        Of consolidations and nodules.
    severity
        Of effusions (mild, moderate, severe) and pneumothoraces (mild, severe).
    """

    code: Code
    side: PlantedSide | None = None
    zone: PlantedZone | None = None
    severity: PlantedSize | None = None


def sample_lesions(rng: np.random.Generator) -> tuple[Lesion, ...]:
    """Draw 0 to 3 lesions of different codes that do not hide each other."""
    count = int(rng.choice(4, p=(0.16, 0.28, 0.30, 0.26)))
    weights = np.array([0.17, 0.19, 0.19, 0.21, 0.24])
    chosen = sorted(rng.choice(len(CODES), size=count, replace=False, p=weights))
    lesions: list[Lesion] = []
    for index in chosen:
        lesion = _sample_lesion(CODES[index], lesions, rng)
        if lesion is not None:
            lesions.append(lesion)
    return tuple(lesions)


def _sample_lesion(code: str, others: list[Lesion], rng: np.random.Generator) -> Lesion | None:
    if code == "cardiomegaly":
        return Lesion("cardiomegaly")
    if code == "pleural_effusion":
        side = _pick(rng, ("left", "right", "bilateral"), (0.4, 0.4, 0.2))
        return Lesion("pleural_effusion", side, severity=_pick(rng, ("mild", "moderate", "severe"), (0.4, 0.35, 0.25)))
    if code == "pneumothorax":
        free = [s for s in ("left", "right") if not any(_covers(o, s, "upper") for o in others)]
        if not free:
            return None
        return Lesion("pneumothorax", _pick(rng, free), severity=_pick(rng, ("mild", "severe")))
    places = [(s, z) for s in ("left", "right") for z in ZONES if not any(_covers(o, s, z) for o in others)]
    if not places:
        return None
    side, zone = places[int(rng.integers(len(places)))]
    return Lesion("consolidation" if code == "consolidation" else "nodule", side, zone)  # type: ignore[arg-type]


def _pick(rng: np.random.Generator, options: Sequence[Any], p: Sequence[float] | None = None) -> Any:
    return options[int(rng.choice(len(options), p=p))]


def _covers(lesion: Lesion, side: str, zone: str) -> bool:
    """Whether a lesion would hide another one planted in this place."""
    if lesion.side not in (side, "bilateral"):
        return False
    if lesion.code == "pleural_effusion":
        return zone == "lower" or (zone == "middle" and lesion.severity != "mild") or lesion.severity == "severe"
    if lesion.code == "pneumothorax":
        return lesion.severity == "severe" and zone == "upper"
    return lesion.zone == zone


def mirrored(lesions: tuple[Lesion, ...]) -> tuple[Lesion, ...]:
    """The record of the film flipped left to right."""
    other = {"left": "right", "right": "left", "bilateral": "bilateral", None: None}
    return tuple(Lesion(le.code, other[le.side], le.zone, le.severity) for le in lesions)  # type: ignore[arg-type]
