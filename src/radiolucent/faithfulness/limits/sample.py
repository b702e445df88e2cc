"""The plain sample: recall and false alarms by every property that the films vary in by themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from radiolucent.faithfulness.limits.judging import OTHER, JudgedFilm
from radiolucent.faithfulness.limits.proportions import fisher
from radiolucent.faithfulness.limits.splits import MEASURED, NAMED, TOGETHER, Pair, row_conditions, tested_pairs
from radiolucent.faithfulness.limits.types import ANY, Comparison, Condition, Outcome, Row
from radiolucent.faithfulness.limits.units import Unit, alarm_units, is_bad, lesion_units, share_of
from radiolucent.phantom.record import CODES

LESION_FACTORS = (*NAMED, *MEASURED, *TOGETHER)
GROUP = 8  # lesions or films; smaller groups are shown in the table and never tested

Block = tuple[Outcome, str, tuple[str, ...], list[Unit]]


def sample_rows(films: Sequence[JudgedFilm]) -> list[Row]:
    """The table of the plain sample."""
    rows = []
    for outcome, code, factors, units in _blocks(films):
        if not units:
            continue
        rows.append(Row("sample", outcome, code, "all", (), share_of(units)))
        for factor in factors:
            for conditions in row_conditions(units, factor):
                chosen = [unit for unit in units if unit.fits(conditions)]
                rows.append(Row("sample", outcome, code, factor, conditions, share_of(chosen)))
    for code in (*CODES, OTHER):  # films are alarmed with each finding in turn, so these are no parts of a whole
        alarmed = Condition("finding", "is", code)
        rows.append(Row("sample", "alarm", ANY, "finding", (alarmed,), share_of(alarm_units(films, code))))
    return rows


def sample_comparisons(films: Sequence[JudgedFilm]) -> list[Comparison]:
    """First step: each property against the rest, finding by finding; unadjusted."""
    return [
        made
        for outcome, code, factors, units in _blocks(films)
        for factor in factors
        for pair in tested_pairs(units, factor)
        if (made := compare(units, pair, outcome, code)) is not None
    ]


def narrower_comparisons(films: Sequence[JudgedFilm], found: Comparison) -> list[Comparison]:
    """Second step: inside a weakness, each other property against the rest of that weakness; unadjusted."""
    units = lesion_units(films, found.outcome, found.code)
    if found.outcome == "alarm" or found.code == ANY:
        return []
    others = _rest(found.condition, units)
    inside = [unit for unit in units if unit.fits((found.condition,))]
    made = []
    for factor in LESION_FACTORS:
        if factor == found.condition.factor or not others:
            continue
        for pair in tested_pairs(units, factor):
            comparison = compare(inside, pair, found.outcome, found.code, within=found.condition)
            if comparison is not None:
                made.append(comparison)
    return made


def compare(
    units: Sequence[Unit], pair: Pair, outcome: Outcome, code: str, *, within: Condition | None = None
) -> Comparison | None:
    """The worse of two groups against the other; None where one of them is too small to be tested.

    Lesions of one film count separately where findings are compared; that they tend to be found together makes this
    test of independent groups cautious.
    """
    first, second = pair
    ones = [unit for unit in units if unit.fits((first,))]
    rest = _rest(first, units)
    if len(ones) < GROUP or len(rest) < GROUP:
        return None
    swapped = _bad_rate(rest, outcome) > _bad_rate(ones, outcome)
    if swapped and second is not None:
        first, second, ones, rest, swapped = second, first, rest, ones, False
    weak, others = share_of(ones), share_of(rest)
    return Comparison(
        "sample",
        outcome,
        code,
        first,
        second,
        weak,
        others,
        p=fisher(weak.hits, weak.count, others.hits, others.count),
        within=within,
        is_worse=not swapped and _bad_rate(ones, outcome) > _bad_rate(rest, outcome),
        members=frozenset((unit.seed, unit.code) for unit in ones if is_bad(unit, outcome)),
    )


def _blocks(films: Sequence[JudgedFilm]) -> Iterator[Block]:
    """Every outcome and finding with the factors that it is split by."""
    yield "recall", ANY, ("finding", "distractors"), lesion_units(films, "recall")
    for code in CODES:
        yield "recall", code, LESION_FACTORS, lesion_units(films, "recall", code)
    yield "alarm", ANY, ("distractors",), alarm_units(films)
    for code in (*CODES, OTHER):
        yield "alarm", code, TOGETHER, alarm_units(films, code)
    yield "wrong_side", ANY, ("finding", "side"), lesion_units(films, "wrong_side")


def _rest(condition: Condition, units: Sequence[Unit]) -> list[Unit]:
    return [unit for unit in units if not unit.fits((condition,))]


def _bad_rate(units: Sequence[Unit], outcome: Outcome) -> float:
    return sum(is_bad(unit, outcome) for unit in units) / len(units)
