"""Intervals for a share counted over few samples; ten of ten is never 100 %."""

from __future__ import annotations

import math
from typing import Literal

from scipy.stats import beta, norm

from radiolucent.errors import MalformedInput

Interval = Literal["jeffreys", "wilson"]


def interval(successes: int, samples: int, *, rule: Interval = "jeffreys", level: float = 0.95) -> tuple[float, float]:
    """Two-sided interval of a share by the named rule.

    Parameters
    ----------
    successes, samples
        ``successes`` of ``samples``; both whole numbers.
    rule
        ``jeffreys`` or ``wilson``. Wald is not offered: at 10 samples it covers 78 % instead of 95 %.
    level
        Nominal coverage in (0, 1).

    Raises
    ------
    MalformedInput
        Where the counts or the level make no sense.
    """
    if rule == "jeffreys":
        return jeffreys(successes, samples, level=level)
    if rule == "wilson":
        return wilson(successes, samples, level=level)
    raise MalformedInput(f"The interval {rule!r} is unknown; use 'jeffreys' or 'wilson'.")


def jeffreys(successes: int, samples: int, *, level: float = 0.95) -> tuple[float, float]:
    """Equal-tailed Jeffreys interval, closed at 0 and 1 (Brown, Cai and DasGupta 2001, section 4.3).

    >>> tuple(round(bound, 2) for bound in jeffreys(10, 10))
    (0.78, 1.0)
    """
    _check(successes, samples, level)
    tail = (1 - level) / 2
    failures = samples - successes
    low = 0.0 if successes == 0 else float(beta.ppf(tail, successes + 0.5, failures + 0.5))
    high = 1.0 if failures == 0 else float(beta.ppf(1 - tail, successes + 0.5, failures + 0.5))
    return low, high


def wilson(successes: int, samples: int, *, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval (Wilson 1927).

    >>> tuple(round(bound, 2) for bound in wilson(10, 10))
    (0.72, 1.0)
    """
    _check(successes, samples, level)
    z = float(norm.ppf(1 - (1 - level) / 2))
    share = successes / samples
    middle = (share + z * z / (2 * samples)) / (1 + z * z / samples)
    spread = share * (1 - share) / samples + z * z / (4 * samples**2)
    half = z * math.sqrt(spread) / (1 + z * z / samples)
    low = 0.0 if successes == 0 else max(0.0, middle - half)
    high = 1.0 if successes == samples else min(1.0, middle + half)
    return low, high


def _check(successes: int, samples: int, level: float) -> None:
    if samples < 1 or not 0 <= successes <= samples:
        raise MalformedInput(f"{successes} of {samples} samples is not a share; expected 0 <= successes <= samples.")
    if not 0 < level < 1:
        raise MalformedInput(f"A coverage of {level} is not inside (0, 1); use e.g. 0.95.")
