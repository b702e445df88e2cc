"""How alike are two maps of one picture? Structure (SSIM) and order (Spearman), with signs and without.

Both are needed: SSIM sees that a pattern stayed in place, ranks see it through any change of scale. Without signs,
a map that turned into its negative still looks the same; with signs it does not (Adebayo et al. 2018 report both).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from skimage.metrics import structural_similarity

from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.metrics.inputs import Cells, checked_map

# Cells; skimage's usual 7 would leave 100 windows, each near half the edge, of a 16 x 16 grid; 5 leaves 144.
WINDOW = 5

Measure = Literal["ssim", "ssim_absolute", "rank", "rank_absolute"]


@dataclass(frozen=True)
class Similarity:
    """Two maps compared; each number is at most 1, and 1 for equal maps.

    Parameters
    ----------
    ssim, ssim_absolute
        Structural similarity of the signed maps, and of their magnitudes.
    rank, rank_absolute
        Spearman's rank correlation of the same.
    """

    ssim: float
    ssim_absolute: float
    rank: float
    rank_absolute: float

    def of(self, measure: Measure) -> float:
        """The number of that name."""
        numbers: dict[str, float] = vars(self)
        if measure not in numbers:
            raise MalformedInput(f"Measure '{measure}' is unknown; use one of {', '.join(numbers)}.")
        return numbers[measure]


def compare_maps(
    first: NDArray[np.floating], second: NDArray[np.floating], *, inside: Cells | None = None
) -> Similarity:
    """All four numbers; arguments and errors as in :func:`ssim` and :func:`rank_correlation`."""
    return Similarity(
        ssim=ssim(first, second, inside=inside),
        ssim_absolute=ssim(first, second, inside=inside, signed=False),
        rank=rank_correlation(first, second, inside=inside),
        rank_absolute=rank_correlation(np.abs(first), np.abs(second), inside=inside),
    )


def ssim(
    first: NDArray[np.floating], second: NDArray[np.floating], *, inside: Cells | None = None, signed: bool = True
) -> float:
    """Mean structural similarity over windows of 5 x 5 cells that lie wholly in the picture.

    Each map is divided by its largest magnitude in the picture first, so that only the pattern counts; a map of zeros
    stays as it is. Signed maps are then drawn from 0 to 1 with zero at the middle grey (SSIM multiplies two signs, so
    on raw values a map and its negative would look alike); magnitudes are drawn from 0 to 1. Frames count by their
    windows.

    Parameters
    ----------
    first, second
        Signed maps (frames, g, g), or (g, g) for one frame.
    inside
        Cells of the picture, a filled rectangle in each frame (padding is cut away); every cell where None. Where the
        rectangle is thinner than 5 cells, the window is the largest odd one that fits.
    signed
        False: magnitudes are compared.

    Raises
    ------
    MalformedInput
        Where the shapes disagree, a value is not finite, the picture is no rectangle, or it is thinner than 3 cells.

    References
    ----------
    Wang et al. 2004, IEEE TIP 13:600; for maps: Adebayo et al. 2018, "Sanity checks for saliency maps", NeurIPS.
    """
    one, two, cells = _pair(first, second, inside)
    one, two = (_drawn(part, cells, signed) for part in (one, two))
    total, windows = 0.0, 0
    for frame, rectangle in enumerate(_rectangles(cells)):
        if rectangle is None:
            continue
        a, b = one[frame][rectangle], two[frame][rectangle]
        window = min(WINDOW, *(size - 1 + size % 2 for size in a.shape))
        if window < 3:
            raise MalformedInput(f"A picture of {a.shape[0]} x {a.shape[1]} cells; SSIM needs at least 3 x 3.")
        count = (a.shape[0] - window + 1) * (a.shape[1] - window + 1)
        total += float(structural_similarity(a, b, win_size=window, data_range=1.0)) * count
        windows += count
    return total / windows


def rank_correlation(
    first: NDArray[np.floating], second: NDArray[np.floating], *, inside: Cells | None = None
) -> float:
    """Spearman's rank correlation over the picture's cells; tied cells share their mean rank.

    A constant map ranks nothing: its correlation with another map is 0, and with another constant map 1.

    Parameters
    ----------
    first, second, inside
        As in :func:`ssim`; the picture may have any shape and needs at least 2 cells.
    """
    one, two, cells = _pair(first, second, inside)
    if int(cells.sum()) < 2:
        raise MalformedInput("A picture of one cell ranks nothing; a rank correlation needs at least 2.")
    ranks = [rankdata(part[cells]) for part in (one, two)]
    flat = [bool((part == part[0]).all()) for part in ranks]
    if any(flat):
        return 1.0 if all(flat) else 0.0
    return float(np.clip(np.corrcoef(ranks[0], ranks[1])[0, 1], -1, 1))


def _pair(
    first: NDArray[np.floating], second: NDArray[np.floating], inside: Cells | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], Cells]:
    one, cells = checked_map(first, inside)
    two, _ = checked_map(second, cells)
    return one, two, cells


def _drawn(values: NDArray[np.float64], cells: Cells, signed: bool) -> NDArray[np.float64]:
    """The map as greys from 0 to 1."""
    shown = np.where(cells, values, 0.0)
    top = float(np.abs(shown).max())
    scaled: NDArray[np.float64] = shown / top if top > 0 else shown
    return (scaled + 1) / 2 if signed else np.abs(scaled)


def _rectangles(cells: Cells) -> list[tuple[slice, slice] | None]:
    """The picture's rectangle in each frame; None where a frame has no cell that counts."""
    found: list[tuple[slice, slice] | None] = []
    for frame in cells:
        rows, columns = np.flatnonzero(frame.any(axis=1)), np.flatnonzero(frame.any(axis=0))
        if not len(rows):
            found.append(None)
            continue
        rectangle = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
        if not frame[rectangle].all():
            raise MalformedInput("The picture's cells are no filled rectangle; SSIM cannot slide a window over them.")
        found.append(rectangle)
    return found
