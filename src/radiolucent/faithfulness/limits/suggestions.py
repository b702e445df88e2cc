"""From the comparisons to what a developer can do, by stated rules.

1. Every property is tested against its complement (first step): finding by finding in the sample, and in the paired
   sets at the farthest level each way; all these p together are corrected by Holm's method.
2. A weakness is a comparison with adjusted p below ``LEVEL`` whose worse group has at least ``BAD`` misses or false
   alarms, does worse by at least ``GAP``, and whose 95 % interval lies clear of the other group's rate.
3. Inside each weakness every other property is tested again, and of an imposed condition the nearer levels and each
   finding (second step; corrected among themselves).
4. Weaknesses of one finding whose misses are mostly the same are told as one; so are the levels of one condition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from radiolucent.faithfulness.limits.factors import Factor
from radiolucent.faithfulness.limits.judging import JudgedFilm
from radiolucent.faithfulness.limits.paired import narrower_pairs, paired_comparisons
from radiolucent.faithfulness.limits.plan import SAMPLE
from radiolucent.faithfulness.limits.proportions import holm
from radiolucent.faithfulness.limits.sample import narrower_comparisons, sample_comparisons
from radiolucent.faithfulness.limits.sentences import sentence
from radiolucent.faithfulness.limits.types import ANY, Comparison, Suggestion

LEVEL = 0.05
BAD = 5  # misses, false alarms or wrong sides in the worse group
GAP = 0.10  # between the two rates
SAME = 0.6  # of the misses are shared: two descriptions of one weakness
NARROWER = {"sample": 1, "paired": 2}  # at most, told with a weakness

Found = tuple[tuple[Comparison, ...], tuple[Suggestion, ...]]


def find_weaknesses(films: Sequence[JudgedFilm], factors: Sequence[Factor]) -> Found:
    """Every comparison that was made, adjusted, and the suggestions that follow."""
    sampled = [film for film in films if film.record.set == SAMPLE]
    first = _adjusted([*sample_comparisons(sampled), *paired_comparisons(films, factors)])
    weak = sorted((comparison for comparison in first if is_weakness(comparison)), key=lambda c: (c.p, -_gap(c)))
    told = _gathered(weak)
    by_name = {factor.name: factor for factor in factors}
    inside = [
        narrower_comparisons(sampled, main)
        if main.design == "sample"
        else narrower_pairs(films, by_name[main.condition.factor], (main, *also))
        for main, also in told
    ]
    second = _adjusted([comparison for made in inside for comparison in made])
    suggestions, start = [], 0
    for (main, also), made in zip(told, inside, strict=True):
        ours = second[start : start + len(made)]
        start += len(made)
        weaker = [comparison for comparison in ours if is_weakness(comparison)]
        nearer = tuple(comparison for comparison in weaker if main.design == "paired" and comparison.code == ANY)
        narrower = _surest([comparison for comparison in weaker if comparison not in nearer])
        also = (*also, *nearer)
        suggestions.append(
            Suggestion(
                main,
                narrower,
                also,
                sentence(main, narrower, also, "en"),
                sentence(main, narrower, also, "zh"),
            )
        )
    return (*first, *second), tuple(suggestions)


def is_weakness(comparison: Comparison) -> bool:
    """Rule 2."""
    weak, others = comparison.weak, comparison.others
    recall = comparison.outcome == "recall"
    bad = weak.count - weak.hits if recall else weak.hits
    clear = weak.high < others.rate if recall else weak.low > others.rate
    return comparison.is_worse and comparison.adjusted < LEVEL and bad >= BAD and _gap(comparison) >= GAP and clear


def _gap(comparison: Comparison) -> float:
    gap = comparison.weak.rate - comparison.others.rate
    return -gap if comparison.outcome == "recall" else gap


def _surest(weak: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """The surest comparisons, in paired sets of different findings, ``NARROWER`` at most."""
    ranked = sorted(weak, key=lambda c: (c.p, -_gap(c)))
    return tuple(ranked[: NARROWER[ranked[0].design]]) if ranked else ()


def _adjusted(comparisons: Sequence[Comparison]) -> list[Comparison]:
    adjusted = holm([comparison.p for comparison in comparisons])
    return [replace(comparison, adjusted=p) for comparison, p in zip(comparisons, adjusted, strict=True)]


def _gathered(weak: Sequence[Comparison]) -> list[tuple[Comparison, tuple[Comparison, ...]]]:
    """Rule 4: the surest comparison of each weakness with the others that describe it."""
    told: list[tuple[Comparison, list[Comparison]]] = []
    for comparison in weak:
        home = next((also for main, also in told if _is_same(comparison, main)), None)
        if home is None:
            told.append((comparison, []))
        else:
            home.append(comparison)
    return [(main, tuple(also)) for main, also in told]


def _is_same(comparison: Comparison, main: Comparison) -> bool:
    if (comparison.design, comparison.outcome) != (main.design, main.outcome):
        return False
    if comparison.design == "paired":
        return comparison.condition.factor == main.condition.factor
    if comparison.code != main.code:  # one condition, told of every finding together and of one of them
        return ANY in (comparison.code, main.code) and comparison.condition == main.condition
    shared = len(comparison.members & main.members)
    return comparison.condition.factor == main.condition.factor or shared >= SAME * min(
        len(comparison.members), len(main.members)
    )
