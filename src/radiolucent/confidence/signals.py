"""What is known about one finding of a draft before anyone says whether it is right.

Five signals, each in nats and each pointing the same way: the larger, the more speaks for what the draft says.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields

import numpy as np
from numpy.typing import NDArray

from radiolucent.confidence.probe import ProbeAnswer
from radiolucent.confidence.types import FindingConfidence
from radiolucent.errors import MalformedInput
from radiolucent.vlm.types import Generation


@dataclass(frozen=True)
class Signals:
    """Of one finding.

    Parameters
    ----------
    support
        Log-odds of the share of samples that say what the draft says, shrunk by Jeffreys's prior.
    margin
        Log-odds of the direct question's answer in the draft's direction.
    words
        log p of the words that say it, mean over their tokens.
    lift
        Log-odds that the picture adds to the direct question's answer over a blank one, in the draft's direction.
    lift_other
        The same over another patient's film.
    """

    support: float
    margin: float
    words: float
    lift: float
    lift_other: float

    def __post_init__(self) -> None:
        if not all(math.isfinite(value) for value in astuple(self)):
            raise MalformedInput(f"Signals must be finite; got {self}.")


NAMES = tuple(entry.name for entry in fields(Signals))


def signals(entry: FindingConfidence, asked: ProbeAnswer, generation: Generation, tokens: tuple[int, int]) -> Signals:
    """The signals of a finding of the draft.

    Parameters
    ----------
    entry
        Counts over samples.
    asked
        The direct question about the finding's code, over a blank picture and another patient's film too.
    tokens
        Span [first, last) of the generated tokens that say it.

    Raises
    ------
    MalformedInput
        Where the question was asked of another code or without one of the two, or the span is empty.
    """
    if asked.code != entry.code or asked.lift is None or asked.lift_other is None:
        raise MalformedInput(
            f"The question about {asked.code!r} (lift {asked.lift} and {asked.lift_other}) does not answer "
            f"{entry.code!r}; ask it over a blank picture and another patient's film too."
        )
    first, last = tokens
    if not 0 <= first < last <= len(generation.logprobs):
        raise MalformedInput(f"The span {tokens} holds none of the {len(generation.logprobs)} generated tokens.")
    sign = -1.0 if entry.polarity == "absent" else 1.0
    return Signals(
        support=math.log((entry.support + 0.5) / (entry.samples - entry.support + 0.5)),
        margin=sign * asked.margin,
        words=float(np.mean(generation.logprobs[first:last], dtype=np.float64)),
        lift=sign * asked.lift,
        lift_other=sign * asked.lift_other,
    )


def table(many: Sequence[Signals]) -> NDArray[np.float64]:
    """float64 (findings, signals), columns as ``NAMES``."""
    return np.array([astuple(one) for one in many], dtype=np.float64).reshape(len(many), len(NAMES))
