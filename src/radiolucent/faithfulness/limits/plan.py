"""Which films are read: a plain sample, and every paired case at each level of each imposed condition."""

from __future__ import annotations

from dataclasses import dataclass

from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.limits.factors import Factor
from radiolucent.phantom.film import FIRST_TRAINING_SEED

SAMPLE, USUAL = "sample", "usual"  # films as they are drawn; paired films with nothing imposed
SMALLEST_EDGE = 128


@dataclass(frozen=True)
class PlannedFilm:
    """One film to be read.

    Parameters
    ----------
    set
        ``sample``, ``usual``, or the name of the imposed factor.
    level
        Of the imposed factor; 0 where nothing is imposed.
    """

    seed: int
    set: str
    level: float = 0.0

    @property
    def name(self) -> str:
        """Stable key, also the record's file name."""
        place = "" if self.set in (SAMPLE, USUAL) else f"-{self.level:g}"
        return f"{self.set}{place}-{self.seed:06d}"


def plan_films(films: int, paired: int, first_seed: int, factors: tuple[Factor, ...]) -> tuple[PlannedFilm, ...]:
    """The sample first, then the paired films case by case.

    Parameters
    ----------
    films, paired
        Sampled films, and cases that are drawn again under every imposed condition; both start at ``first_seed``.

    Raises
    ------
    MalformedInput
        Where a number is negative or nothing is left to read, or the seeds reach those used for training.
    """
    if films < 0 or paired < 0 or films + paired == 0 or first_seed < 0:
        raise MalformedInput(
            f"{films} films and {paired} paired cases from seed {first_seed}; expected none of them below 0, and at "
            "least one film."
        )
    if first_seed + max(films, paired) > FIRST_TRAINING_SEED:
        raise MalformedInput(f"Seeds from {FIRST_TRAINING_SEED} on were trained on; start at a lower seed.")
    sample = [PlannedFilm(first_seed + index, SAMPLE) for index in range(films)]
    cases = [
        film
        for index in range(paired)
        for film in (
            PlannedFilm(first_seed + index, USUAL),
            *(PlannedFilm(first_seed + index, factor.name, level) for factor in factors for level in factor.levels),
        )
    ]
    return (*sample, *cases)
