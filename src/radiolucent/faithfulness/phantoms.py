"""Synthetic films as cases with truth, each with its film without the lesion."""

from __future__ import annotations

from collections.abc import Iterator

from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.evaluate import Case
from radiolucent.phantom.film import FIRST_TRAINING_SEED, draw_case
from radiolucent.study.load import load_study


def phantom_cases(count: int, *, first_seed: int = 0, size: int = 512) -> Iterator[Case]:
    """``count`` films with at least one lesion, drawn from seeds that no training used.

    Parameters
    ----------
    first_seed
        Seed of the first film; later films count up, films without a lesion are skipped.
    size
        Edge of the films in pixels.
    """
    if count < 1:
        raise MalformedInput(f"{count} films compare nothing; ask for at least 1.")
    seed, found = first_seed, 0
    while found < count:
        if seed >= FIRST_TRAINING_SEED:
            raise MalformedInput(f"Seeds from {FIRST_TRAINING_SEED} on were trained on; start at a lower seed.")
        drawn = draw_case(seed, size=size)
        if any(mask.any() for mask in drawn.masks.values()):
            found += 1
            yield Case(
                study=load_study(drawn.film, patient_right="left"),
                masks=drawn.masks,
                without={code: load_study(film, patient_right="left") for code, film in drawn.without.items()},
                name=f"phantom {seed}",
            )
        seed += 1
