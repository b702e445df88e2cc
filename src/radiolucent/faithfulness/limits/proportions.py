"""Shares with their intervals, and exact tests between them, corrected for how many were made."""

from __future__ import annotations

import math
from collections.abc import Sequence

from scipy.stats import binomtest, fisher_exact

from radiolucent.errors import MalformedInput

Z95 = 1.959963984540054  # standard normal quantile of 0.975


def wilson(hits: int, count: int, design: float = 1.0) -> tuple[float, float]:
    """95 % score interval of a share; (0, 1) where nothing was counted.

    Parameters
    ----------
    design
        Design effect: how many times the variance of independent cases. The count is divided by it, as survey
        estimates do (Korn & Graubard 1998, Survey Methodology 24:193).

    References
    ----------
    Wilson 1927, JASA 22:209; Brown, Cai & DasGupta 2001, Statistical Science 16:101.
    """
    if not 0 <= hits <= count:
        raise MalformedInput(f"{hits} of {count}: expected a part of the whole.")
    if count == 0:
        return 0.0, 1.0
    n, share = count / max(1.0, design), hits / count
    middle = share + Z95**2 / (2 * n)
    half = Z95 * math.sqrt(share * (1 - share) / n + Z95**2 / (4 * n**2))
    scale = 1 + Z95**2 / n
    # At 0 and 1 the bound is exact in theory and off by a rounding in floating point.
    return (0.0 if hits == 0 else (middle - half) / scale), (1.0 if hits == count else (middle + half) / scale)


def design_effect(clusters: Sequence[tuple[int, int]]) -> float:
    """How many times wider the variance of a share is because cases come in clusters (films); at least 1.

    Parameters
    ----------
    clusters
        (hits, count) of each film that holds any case.

    References
    ----------
    Rao & Scott 1992, Biometrics 48:577, the ratio estimator's variance over the binomial one.
    """
    filled = [(hits, count) for hits, count in clusters if count > 0]
    films, total = len(filled), sum(count for _, count in filled)
    share = sum(hits for hits, _ in filled) / total if total else 0.0
    binomial = share * (1 - share) / total if total else 0.0
    if films < 2 or binomial == 0:
        return 1.0
    squares = sum((hits - share * count) ** 2 for hits, count in filled)
    return max(1.0, films / (films - 1) * squares / total**2 / binomial)


def difference_interval(
    table: tuple[int, int, int, int], first: tuple[float, float], second: tuple[float, float]
) -> tuple[float, float, float]:
    """First share less second, on the same cases, with its 95 % interval; of some width even where no case differs.

    Parameters
    ----------
    table
        Cases with both hits, the first alone, the second alone, neither.
    first, second
        Wilson's interval of each share.

    References
    ----------
    Newcombe 1998, Statistics in Medicine 17:2635, method 10.
    """
    both, one, other, neither = table
    count = sum(table)
    if count == 0:
        raise MalformedInput("No case was judged twice; a difference needs at least one.")
    p1, p2 = (both + one) / count, (both + other) / count
    margins = (both + one) * (other + neither) * (both + other) * (one + neither)
    excess = both * neither - one * other
    corrected = max(excess - count / 2, 0.0) if excess > 0 else float(excess)
    phi = corrected / math.sqrt(margins) if margins else 0.0

    def reach(a: float, b: float) -> float:
        return math.sqrt(max(0.0, a * a - 2 * phi * a * b + b * b))

    low = p1 - p2 - reach(p1 - first[0], second[1] - p2)
    high = p1 - p2 + reach(first[1] - p1, p2 - second[0])
    return p1 - p2, max(-1.0, low), min(1.0, high)


def fisher(hits: int, count: int, other_hits: int, other_count: int) -> float:
    """Two-sided p of Fisher's exact test that two shares are the same."""
    table = [[hits, count - hits], [other_hits, other_count - other_hits]]
    return float(fisher_exact(table).pvalue)


def sign_test(worse: int, better: int) -> float:
    """Two-sided exact p that cases change for the worse as often as for the better (McNemar's test, exact)."""
    return float(binomtest(worse, worse + better).pvalue) if worse + better else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p: the chance of even one false claim among all comparisons stays below the level.

    References
    ----------
    Holm 1979, Scandinavian Journal of Statistics 6:65.
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
