"""Paired sets: the same cases with one condition imposed, each case its own control."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from radiolucent.faithfulness.limits.factors import Factor
from radiolucent.faithfulness.limits.judging import OTHER, JudgedFilm
from radiolucent.faithfulness.limits.plan import SAMPLE, USUAL
from radiolucent.faithfulness.limits.proportions import difference_interval, sign_test
from radiolucent.faithfulness.limits.types import ANY, Comparison, Condition, Outcome, Row
from radiolucent.faithfulness.limits.units import Unit, alarm_units, is_bad, lesion_units, share_of
from radiolucent.phantom.record import CODES

SEEN = 0.5  # a lesion of which less is left on the film is counted at neither level
CASES = 8  # fewer cases are shown in the table and never tested
OUTCOMES: tuple[Outcome, ...] = ("recall", "alarm", "wrong_side")


@dataclass(frozen=True)
class Matched:
    """One unit of a case, at a level and on the unchanged film."""

    level: float
    changed: Unit
    usual: Unit


def paired_rows(films: Sequence[JudgedFilm], factors: Sequence[Factor]) -> list[Row]:
    """Every level of every imposed condition, with its difference from the unchanged film on the same cases."""
    sets = _by_set(films)
    rows = []
    for factor in factors:
        for outcome in OUTCOMES:
            for code in _codes(outcome):
                pairs = matched(sets, factor, outcome, code)
                usual = list({(pair.usual.seed, pair.usual.code): pair.usual for pair in pairs}.values())
                if not usual:
                    continue
                for level in factor.ordered:
                    at = [pair for pair in pairs if pair.level == level]
                    units = usual if level == factor.usual else [pair.changed for pair in at]
                    if units:
                        condition = Condition(factor.name, "is", level)
                        rows.append(
                            Row(
                                "paired",
                                outcome,
                                code,
                                factor.name,
                                (condition,),
                                share_of(units),
                                usual=level == factor.usual,
                                difference=None if level == factor.usual else _difference(at),
                            )
                        )
    return rows


def paired_comparisons(films: Sequence[JudgedFilm], factors: Sequence[Factor]) -> list[Comparison]:
    """First step: at the farthest level each way, are more cases changed for the worse than for the better?"""
    sets = _by_set(films)
    made = []
    for factor in factors:
        for outcome in OUTCOMES:
            pairs = matched(sets, factor, outcome)
            made += [_compare(pairs, factor, level, outcome, ANY) for level in factor.extremes]
    return [comparison for comparison in made if comparison is not None]


def narrower_pairs(films: Sequence[JudgedFilm], factor: Factor, found: Sequence[Comparison]) -> list[Comparison]:
    """Second step, where the farthest level does harm: nearer levels that way, and which findings it is.

    Parameters
    ----------
    found
        One or both of the farthest levels, surest first; findings are looked at in the first.
    """
    sets = _by_set(films)
    main = found[0]
    pairs = matched(sets, factor, main.outcome)
    made = []
    for far in found:
        edge = float(far.condition.level)
        nearer = [level for level in factor.levels if level != edge and (level > factor.usual) == (edge > factor.usual)]
        made += [_compare(pairs, factor, level, main.outcome, ANY, far.condition) for level in nearer]
    for code in _codes(main.outcome)[1:]:
        of_code = matched(sets, factor, main.outcome, code)
        made.append(_compare(of_code, factor, float(main.condition.level), main.outcome, code, main.condition))
    return [comparison for comparison in made if comparison is not None]


def matched(
    sets: Mapping[tuple[str, float], Mapping[int, JudgedFilm]], factor: Factor, outcome: Outcome, code: str = ANY
) -> list[Matched]:
    """Units that can be judged at a level and on the same case's unchanged film."""
    pairs = []
    for level in factor.levels:
        for seed, film in sets.get((factor.name, level), {}).items():
            usual = sets.get((USUAL, 0.0), {}).get(seed)
            if usual is None:
                continue
            before = {unit.code: unit for unit in _units(usual, outcome, code)}
            for unit in _units(film, outcome, code):
                if unit.code in before and (outcome == "alarm" or _is_seen(film, usual, unit.code, factor)):
                    pairs.append(Matched(level, unit, before[unit.code]))
    return pairs


def _by_set(films: Iterable[JudgedFilm]) -> dict[tuple[str, float], dict[int, JudgedFilm]]:
    sets: dict[tuple[str, float], dict[int, JudgedFilm]] = defaultdict(dict)
    for film in films:
        if film.record.set != SAMPLE:
            sets[film.record.set, film.record.level][film.record.seed] = film
    return sets


def _codes(outcome: Outcome) -> tuple[str, ...]:
    return {"recall": (ANY, *CODES), "alarm": (ANY, *CODES, OTHER), "wrong_side": (ANY,)}[outcome]


def _units(film: JudgedFilm, outcome: Outcome, code: str) -> list[Unit]:
    return alarm_units([film], code) if outcome == "alarm" else lesion_units([film], outcome, code)


def _is_seen(film: JudgedFilm, usual: JudgedFilm, code: str, factor: Factor) -> bool:
    """Whether enough of the lesion is left on the film; a condition that shrinks lesions takes nothing off it."""
    if factor.condition == "extent":
        return True
    here, there = film.lesion(code), usual.lesion(code)
    return here is not None and there is not None and here.lesion.seen_cm2 >= SEEN * there.lesion.seen_cm2


def _difference(pairs: Sequence[Matched]) -> tuple[float, float, float]:
    """Rate at the level less the usual rate, with its interval."""
    cells = Counter((pair.changed.hit, pair.usual.hit) for pair in pairs)
    table = cells[True, True], cells[True, False], cells[False, True], cells[False, False]
    changed, usual = share_of([pair.changed for pair in pairs]), share_of([pair.usual for pair in pairs])
    return difference_interval(table, (changed.low, changed.high), (usual.low, usual.high))


def _compare(
    matched_pairs: Sequence[Matched],
    factor: Factor,
    level: float,
    outcome: Outcome,
    code: str,
    within: Condition | None = None,
) -> Comparison | None:
    """Sign test over cases at one level: each case counts once, however many lesions it has."""
    pairs = [pair for pair in matched_pairs if pair.level == level]
    balance: dict[int, int] = defaultdict(int)
    for pair in pairs:
        balance[pair.usual.seed] += is_bad(pair.changed, outcome) - is_bad(pair.usual, outcome)
    if len(balance) < CASES:
        return None
    worse, better = sum(net > 0 for net in balance.values()), sum(net < 0 for net in balance.values())
    return Comparison(
        "paired",
        outcome,
        code,
        Condition(factor.name, "is", level),
        Condition(factor.name, "is", factor.usual),
        share_of([pair.changed for pair in pairs]),
        share_of([pair.usual for pair in pairs]),
        p=sign_test(worse, better),
        within=within,
        changed=(worse, better),
        is_worse=worse > better,
        members=frozenset(
            (pair.changed.seed, pair.changed.code)
            for pair in pairs
            if is_bad(pair.changed, outcome) and not is_bad(pair.usual, outcome)
        ),
    )
