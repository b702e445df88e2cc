"""Does a method explain this model, steadily? Cascading weight randomisation, and repeats of one explanation.

A method that gives the same maps for a model whose weights were replaced by noise explains the picture, not the model
(Adebayo et al. 2018). "The same" needs a bar: how alike maps of *different* pictures are, which is what a method's
habits (smoothness, a bright middle) alone make. Arun et al. 2021 use the mean over 50 random pairs of the trained
model's maps: a randomised model's map must fall below it, a repeated explanation must stay above.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.metrics.inputs import Cells, checked_map
from radiolucent.faithfulness.metrics.similarity import Measure, compare_maps

PAIRS = 50


def random_pair_bar(
    maps: Sequence[NDArray[np.floating]],
    *,
    inside: Sequence[Cells] | None = None,
    measure: Measure = "ssim",
    pairs: int = PAIRS,
    seed: int = 0,
) -> float:
    """Mean similarity of random pairs of one method's maps, each of another picture.

    Parameters
    ----------
    maps
        Two or more maps (frames, g, g) of the trained model.
    inside
        Cells of each map's picture; a pair is compared on the cells that both have. Every cell where None.
    measure
        Which number of :class:`radiolucent.faithfulness.metrics.similarity.Similarity`.
    pairs
        Drawn without repeats; all pairs where there are fewer (11 maps give 55).

    Raises
    ------
    MalformedInput
        Where there are fewer than two maps, or they do not fit each other.
    """
    if len(maps) < 2 or pairs < 1:
        raise MalformedInput(f"{pairs} pairs of {len(maps)} maps; a bar needs at least 1 pair of 2 maps.")
    if inside is not None and len(inside) != len(maps):
        raise MalformedInput(f"{len(maps)} maps and {len(inside)} sets of cells; expected one each.")
    every = list(combinations(range(len(maps)), 2))
    drawn = np.random.default_rng(seed).permutation(len(every))[:pairs]
    found = []
    for index in drawn:
        one, two = every[index]
        shared = None if inside is None else np.asarray(inside[one], dtype=bool) & np.asarray(inside[two], dtype=bool)
        found.append(compare_maps(maps[one], maps[two], inside=shared).of(measure))
    return float(np.mean(found))


@dataclass(frozen=True)
class CascadeVerdict:
    """What cascading randomisation did to a method's maps.

    Parameters
    ----------
    layers
        What was randomised, one more at each step, from the output down.
    similarities
        Mean similarity to the trained model's maps after each step.
    bar
        Similarity of maps of different pictures.
    passed
        Whether the last similarity, all of it randomised, is below the bar: the method depends on the weights.
    first_below
        The first layer from which on the similarity stays below the bar; None where it does not.
    """

    layers: tuple[str, ...]
    similarities: tuple[float, ...]
    bar: float
    passed: bool
    first_below: str | None


def cascade_verdict(layers: Sequence[str], similarities: NDArray[np.floating], bar: float) -> CascadeVerdict:
    """The verdict on a method from how alike its maps stayed.

    Parameters
    ----------
    layers
        Names in the order in which they were randomised, each on top of those before it.
    similarities
        (layers,), or (cases, layers), averaged over cases. 0 for a randomised model whose map is empty.
    bar
        From :func:`random_pair_bar`, by the same measure.

    Raises
    ------
    MalformedInput
        Where the numbers do not fit the layers, there is none, or one is not finite.

    References
    ----------
    Adebayo et al. 2018, NeurIPS; Arun et al. 2021, Radiol Artif Intell 3:e200267, figure 3.
    """
    given = np.asarray(similarities, dtype=np.float64)
    given = given[None] if given.ndim == 1 else given
    if given.ndim != 2 or given.size == 0 or given.shape[1] != len(layers):
        raise MalformedInput(
            f"Similarities of shape {np.shape(similarities)} for {len(layers)} layers; expected (layers,) or "
            "(cases, layers)."
        )
    if not (np.isfinite(given).all() and np.isfinite(bar)):
        raise MalformedInput("A similarity or the bar is not finite; give 0 where a randomised model's map is empty.")
    means = given.mean(axis=0)
    above = np.flatnonzero(means >= bar)
    first = int(above[-1]) + 1 if len(above) else 0
    return CascadeVerdict(
        layers=tuple(layers),
        similarities=tuple(means.tolist()),
        bar=float(bar),
        passed=bool(means[-1] < bar),
        first_below=layers[first] if first < len(layers) else None,
    )


@dataclass(frozen=True)
class Repeatability:
    """How alike the maps of one explanation are when it is made again.

    Parameters
    ----------
    mean, lowest
        Over all pairs of repeats.
    pairs
        Their number.
    steady
        Whether the mean is above the bar; None where no bar was given.
    """

    mean: float
    lowest: float
    pairs: int
    steady: bool | None


def repeatability(
    maps: Sequence[NDArray[np.floating]],
    *,
    inside: Cells | None = None,
    measure: Measure = "ssim",
    bar: float | None = None,
) -> Repeatability:
    """Similarity between repeats of one map: another seed, a shift of 2 pixels, another precision.

    Parameters
    ----------
    maps
        Two or more maps (frames, g, g) of the same picture and target.
    inside
        Cells of the picture; every cell where None.
    measure
        Which number of :class:`radiolucent.faithfulness.metrics.similarity.Similarity`.
    bar
        From :func:`random_pair_bar`, by the same measure.

    Raises
    ------
    MalformedInput
        Where there are fewer than two maps, they do not fit each other, or one is not finite.

    References
    ----------
    Arun et al. 2021, Radiol Artif Intell 3:e200267 (repeatability by SSIM).
    """
    if len(maps) < 2:
        raise MalformedInput(f"{len(maps)} map; repeatability compares at least 2 repeats.")
    checked = [checked_map(one, inside)[0] for one in maps]
    found = [compare_maps(one, two, inside=inside).of(measure) for one, two in combinations(checked, 2)]
    mean = float(np.mean(found))
    return Repeatability(mean, float(np.min(found)), len(found), None if bar is None else mean > bar)
