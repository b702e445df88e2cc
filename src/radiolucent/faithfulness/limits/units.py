"""The things that are counted: planted lesions, and films that might have been alarmed, each with its properties."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from radiolucent.faithfulness.limits.judging import JudgedFilm, JudgedLesion
from radiolucent.faithfulness.limits.proportions import design_effect, wilson
from radiolucent.faithfulness.limits.types import ANY, Condition, Outcome, Share


@dataclass(frozen=True)
class Unit:
    """One lesion or one film, counted once.

    Parameters
    ----------
    hit
        Whether it is among the share's hits: found, alarmed, or put on a wrong side.
    traits
        Factor -> its level, number, or set of levels.
    """

    seed: int
    code: str
    hit: bool
    traits: Mapping[str, Any]

    def fits(self, conditions: Iterable[Condition]) -> bool:
        """Whether every condition holds."""
        return all(_holds(condition, self.traits.get(condition.factor)) for condition in conditions)


def _holds(condition: Condition, value: Any) -> bool:
    level: Any = condition.level
    match condition.relation:
        case "is":
            return bool(value == level)
        case "with":
            return level in value
        case "without":
            return level not in value
        case "below":
            return bool(value < level)
        case "from":
            return bool(value >= level)


def lesion_units(films: Iterable[JudgedFilm], outcome: Outcome, code: str = ANY) -> list[Unit]:
    """Planted lesions with recall, or lesions found on a stated side with whether it was wrong."""
    units = []
    for film in films:
        for judged in film.lesions:
            hit = judged.found if outcome == "recall" else judged.wrong_side
            if hit is not None and code in (ANY, judged.lesion.code):
                units.append(Unit(film.record.seed, judged.lesion.code, hit, _lesion_traits(film, judged)))
    return units


def alarm_units(films: Iterable[JudgedFilm], code: str = ANY) -> list[Unit]:
    """Films that do not hold the finding, with whether it is asserted; ``any``: every film, with any false alarm."""
    return [
        Unit(
            film.record.seed,
            code,
            bool(film.alarms) if code == ANY else code in film.alarms,
            _film_traits(film),
        )
        for film in films
        if code == ANY or film.lesion(code) is None
    ]


def share_of(units: Sequence[Unit]) -> Share:
    """The units' share of hits; the interval is widened where several lesions of one film are counted."""
    films: dict[int, list[int]] = {}
    for unit in units:
        counted = films.setdefault(unit.seed, [0, 0])
        counted[0] += unit.hit
        counted[1] += 1
    hits = sum(unit.hit for unit in units)
    clustered = len(films) < len(units)
    design = design_effect([(hits_, count) for hits_, count in films.values()]) if clustered else 1.0
    return Share(hits, len(units), *wilson(hits, len(units), design))


def is_bad(unit: Unit, outcome: Outcome) -> bool:
    """A miss, a false alarm or a wrong side."""
    return unit.hit is not (outcome == "recall")


def _film_traits(film: JudgedFilm) -> dict[str, Any]:
    return {
        "distractors": frozenset(film.record.distractors),
        "company": frozenset(lesion.code for lesion in film.record.lesions),
    }


def _lesion_traits(film: JudgedFilm, judged: JudgedLesion) -> dict[str, Any]:
    lesion = judged.lesion
    return {
        "finding": lesion.code,
        "side": lesion.side,
        "zone": lesion.zone,
        "severity": lesion.severity,
        "size": lesion.size_cm,
        "contrast": lesion.contrast,
        "distractors": frozenset(film.record.distractors),
        "company": frozenset(other.code for other in film.record.lesions) - {lesion.code},
    }
