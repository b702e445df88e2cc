"""The order of the worklist: the AI may bring a film forward, never push another past its due time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

TURNAROUND = timedelta(hours=24)
"""When a film without a due time is looked for, for ordering only."""
PER_FILM = timedelta(minutes=5)
"""What one film is taken to need when due times are guarded."""


@dataclass(frozen=True)
class Waiting:
    """A case on the list, as far as its order is concerned.

    Parameters
    ----------
    due
        None where nobody set one.
    critical, urgency
        As the AI sees it; False and 0 where that must not show (reader-first).
    """

    id: str
    received: datetime
    due: datetime | None = None
    critical: bool = False
    urgency: int = 0


def ordered(cases: Sequence[Waiting], now: datetime) -> list[str]:
    """Ids, first to be read first.

    Without the AI the list runs by due time (films without one: a day after they came). Critical films go to the
    front, overdue ones follow, then those with more uncertain or not image-based findings, each only as long as every
    film that the plain order would finish in time is still finished in time.
    """
    plain = sorted(cases, key=lambda one: (one.due or one.received + TURNAROUND, one.received, one.id))
    wanted = sorted(range(len(plain)), key=lambda place: _rank(plain[place], now))
    # Films that may still go before this one. One that the plain order cannot finish in time puts no bound on others.
    spare = np.full(len(plain), _UNBOUND, dtype=np.int64)
    for place, one in enumerate(plain):
        if one.due is not None and (left := (one.due - now) // PER_FILM - (place + 1)) >= 0:
            spare[place] = left
    done = np.zeros(len(plain), dtype=bool)
    result: list[str] = []
    head = first = 0
    while len(result) < len(plain):
        while done[head]:
            head += 1
        while done[wanted[first]]:
            first += 1
        chosen = wanted[first]
        if chosen != head and spare[head:chosen].min() < 1:
            chosen = head
        spare[head:chosen] -= 1  # films behind it in plain order do not move
        spare[chosen], done[chosen] = _UNBOUND, True
        result.append(plain[chosen].id)
    return result


_UNBOUND = 2**40


def _rank(one: Waiting, now: datetime) -> tuple[int, int]:
    if one.critical:
        return (0, 0)
    if one.due is not None and one.due <= now:
        return (1, 0)
    return (2, -one.urgency)
