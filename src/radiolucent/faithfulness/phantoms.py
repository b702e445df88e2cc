"""Synthetic films as cases with truth, each with its film without the lesion."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.evaluate import Case
from radiolucent.phantom.film import FIRST_TRAINING_SEED, draw_case
from radiolucent.phantom.record import CODES, sample_lesions
from radiolucent.study.load import load_study

SIZE = 512
Range = tuple[float, float]


@dataclass(frozen=True)
class Difficulty:
    """Which lesions count; one outside the ranges is on the film but not in its truth.

    Parameters
    ----------
    contrast
        Least and largest contrast-to-noise ratio inside the lesion's mask.
    area
        Least and largest share of the film that the mask covers, in percent.
    """

    contrast: Range = (0.0, math.inf)
    area: Range = (0.0, 100.0)

    def __post_init__(self) -> None:
        for name, (low, high) in (("contrast", self.contrast), ("area", self.area)):
            if not 0 <= low < high:
                raise MalformedInput(f"The {name} from {low:g} to {high:g} is no range; expected 0 <= low < high.")

    @classmethod
    def read(cls, text: str) -> Difficulty:
        """From ``contrast=2..8,area=0.5..5``; an end may be left open.

        >>> Difficulty.read("contrast=2..,area=..5")
        Difficulty(contrast=(2.0, inf), area=(0.0, 5.0))
        """
        ranges: dict[str, Range] = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            name, _, span = part.partition("=")
            low, dots, high = span.partition("..")
            try:
                if not dots or name not in ("contrast", "area"):
                    raise ValueError
                ranges[name] = (float(low or 0), float(high or (math.inf if name == "contrast" else 100)))
            except ValueError:
                raise MalformedInput(
                    f"The difficulty {part!r} is not understood; write for example contrast=2..8,area=0.5..5 "
                    "(contrast-to-noise ratio; percent of the film)."
                ) from None
        return cls(**ranges)


@dataclass(frozen=True)
class PhantomCases:
    """Films with at least one lesion, drawn when their turn comes; a case can be drawn again by its index.

    Parameters
    ----------
    seeds
        One for each film; none of them was trained on.
    codes
        Finding codes that count.
    """

    seeds: tuple[int, ...]
    size: int = SIZE
    codes: tuple[str, ...] = CODES
    difficulty: Difficulty = Difficulty()
    distractors: bool = True

    def __len__(self) -> int:
        """Number of films."""
        return len(self.seeds)

    def __getitem__(self, index: int) -> Case:
        """Draw one film."""
        seed = self.seeds[index]
        drawn = draw_case(seed, size=self.size, distractors=self.distractors)
        low, high = self.difficulty.contrast
        small, large = self.difficulty.area
        masks = {
            code: mask
            for code, mask in drawn.masks.items()
            if code in self.codes and low <= drawn.contrast[code] <= high and small <= 100 * mask.mean() <= large
        }
        return Case(
            study=load_study(drawn.film, patient_right="left"),
            masks=masks,
            without={code: load_study(drawn.without[code], patient_right="left") for code in masks},
            name=f"phantom {seed}",
        )

    def __iter__(self) -> Iterator[Case]:
        """The films in order."""
        return (self[index] for index in range(len(self)))


def phantom_cases(
    count: int,
    *,
    first_seed: int = 0,
    size: int = SIZE,
    codes: Sequence[str] = CODES,
    difficulty: Difficulty | None = None,
    distractors: bool = True,
) -> PhantomCases:
    """``count`` films whose records hold at least one lesion of ``codes``, from seeds that no training used.

    Parameters
    ----------
    first_seed
        Seed of the first film; later films count up, films without such a lesion are skipped.
    size
        Edge of the films in pixels.
    codes
        Findings that count; others may be on the film too.
    difficulty
        Lesions that count by contrast and size; all where None.
    distractors
        Side letters, tubes and leads that no report mentions.

    Raises
    ------
    MalformedInput
        Where a code is no phantom's, fewer than one film is asked for, or the seeds reach those trained on.
    """
    if count < 1:
        raise MalformedInput(f"{count} films compare nothing; ask for at least 1.")
    unknown = sorted(set(codes) - set(CODES))
    if unknown or not codes:
        raise MalformedInput(
            f"Phantoms have no finding {', '.join(unknown) or '(none was named)'}; use some of {', '.join(CODES)}."
        )
    seeds: list[int] = []
    seed = first_seed
    while len(seeds) < count:
        if not 0 <= seed < FIRST_TRAINING_SEED:
            raise MalformedInput(
                f"Seeds from {FIRST_TRAINING_SEED} on were trained on, and none is negative; start at a lower seed."
            )
        # as draw_case draws the record: the first of three streams
        record, _, _ = np.random.default_rng(seed).spawn(3)
        if any(lesion.code in codes for lesion in sample_lesions(record)):
            seeds.append(seed)
        seed += 1
    return PhantomCases(
        seeds=tuple(seeds),
        size=size,
        codes=tuple(codes),
        difficulty=difficulty or Difficulty(),
        distractors=distractors,
    )
