"""The conditions that are imposed on a film, level by level, and the film that each of them makes.

Every set is paired: the same person with the same lesions, noise field and window, one condition changed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from radiolucent.phantom.conditions import Conditions

Change = Callable[[NDArray[np.uint8], float], NDArray[np.uint8]]


@dataclass(frozen=True)
class Factor:
    """One condition and the levels at which it is imposed.

    Parameters
    ----------
    usual
        The level of the unchanged film, against which every other is held.
    levels
        The others, in order.
    condition
        Field of :class:`~radiolucent.phantom.conditions.Conditions` that takes the level; None where the finished
        film is changed instead.
    change
        (film, level) -> changed film; None where the film is drawn under the condition.
    """

    name: str
    usual: float
    levels: tuple[float, ...]
    condition: str | None = None
    change: Change | None = None

    def conditions(self, level: float) -> Conditions:
        """What the generator is told; every paired film is drawn without the black border of some seeds."""
        return Conditions(border=False, **({self.condition: level} if self.condition else {}))

    @property
    def extremes(self) -> tuple[float, ...]:
        """The level farthest from the usual one, in each direction that has levels."""
        below, above = [v for v in self.levels if v < self.usual], [v for v in self.levels if v > self.usual]
        return (*([min(below)] if below else []), *([max(above)] if above else []))

    @property
    def ordered(self) -> tuple[float, ...]:
        """All levels with the usual one in its place."""
        return tuple(sorted((self.usual, *self.levels)))


def blacken(film: NDArray[np.uint8], share: float) -> NDArray[np.uint8]:
    """The film under a black border, its width a share of the edge."""
    margin = round(share * film.shape[0])
    framed = np.zeros_like(film)
    inside = slice(margin, film.shape[0] - margin)
    framed[inside, inside] = film[inside, inside]
    return framed


def crop(film: NDArray[np.uint8], share: float) -> NDArray[np.uint8]:
    """The film with a share of its edge cut off on every side."""
    margin = round(share * film.shape[0])
    return film[margin : film.shape[0] - margin, margin : film.shape[0] - margin]


def resize(film: NDArray[np.uint8], edge: float) -> NDArray[np.uint8]:
    """The film with ``edge`` pixels on each side, averaged down or interpolated up."""
    return np.asarray(Image.fromarray(film).resize((int(edge),) * 2, Image.Resampling.BILINEAR))


def paired_factors(edge: int) -> tuple[Factor, ...]:
    """Every imposed condition, for films that are drawn with ``edge`` pixels."""
    return (
        Factor("lesion_contrast", 1.0, (0.25, 0.35, 0.5, 0.7), condition="strength"),
        Factor("lesion_size", 1.0, (0.35, 0.5, 0.7), condition="extent"),
        Factor("rotation", 0.0, (-20.0, -10.0, -5.0, 5.0, 10.0, 20.0), condition="turn"),
        Factor("shift", 0.0, (-4.0, -2.0, 2.0, 4.0), condition="offset"),
        Factor("exposure", 0.0, (-0.3, -0.15, 0.15, 0.3), condition="brightness"),
        Factor("noise", 1.0, (2.0, 4.0, 6.0), condition="noise"),
        Factor("border", 0.0, (0.05, 0.1, 0.15), change=blacken),
        Factor("crop", 0.0, (0.05, 0.1, 0.15), change=crop),
        Factor("pixels", float(edge), (edge / 8, edge / 4, edge / 2, edge * 2.0), change=resize),
        Factor("marker", 0.0, (1.0,)),
    )
