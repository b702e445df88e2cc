"""Do different methods say the same? Rank correlation and shared region of every pair of maps.

Agreement is no proof (methods of one family share their faults), but two methods that disagree cannot both be right:
Krishna et al. 2022, "The disagreement problem in explainable machine learning", arXiv 2202.01602.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from radiolucent.attribution.regions import top_region
from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.metrics.inputs import Cells, checked_map
from radiolucent.faithfulness.metrics.similarity import rank_correlation


@dataclass(frozen=True, eq=False)
class Agreement:
    """Maps of one target compared pair by pair.

    Parameters
    ----------
    methods
        Names, in order.
    rank
        float64 (methods, methods): Spearman's rank correlation of the signed maps.
    overlap
        float64 (methods, methods): IoU of the regions that the maps point at; 0 wherever a map has no region.
    """

    methods: tuple[str, ...]
    rank: NDArray[np.float64]
    overlap: NDArray[np.float64]

    @property
    def mean_rank(self) -> float:
        """Mean rank correlation over pairs of different methods."""
        return float(self.rank[np.triu_indices(len(self.methods), 1)].mean())

    @property
    def mean_overlap(self) -> float:
        """Mean overlap over pairs of different methods."""
        return float(self.overlap[np.triu_indices(len(self.methods), 1)].mean())


def method_agreement(maps: Mapping[str, NDArray[np.floating]], *, inside: Cells | None = None) -> Agreement:
    """Agreement of methods about one target.

    Parameters
    ----------
    maps
        Method name -> signed map (frames, g, g), all on one grid; at least two.
    inside
        Cells of the picture; every cell where None.

    Raises
    ------
    MalformedInput
        Where there are fewer than two maps, they do not fit each other, or one is not finite.
    """
    names = tuple(maps)
    if len(names) < 2:
        raise MalformedInput(f"{len(names)} map; agreement compares at least 2 methods.")
    first, cells = checked_map(maps[names[0]], inside)
    checked = [first, *(checked_map(maps[name], cells)[0] for name in names[1:])]
    regions = [top_region(values, cells, buffer=0) for values in checked]
    rank = np.eye(len(names))
    overlap = np.diag([float(region.any()) for region in regions])
    for one, two in combinations(range(len(names)), 2):
        rank[one, two] = rank[two, one] = rank_correlation(checked[one], checked[two], inside=cells)
        union = int((regions[one] | regions[two]).sum())
        shared = int((regions[one] & regions[two]).sum())
        overlap[one, two] = overlap[two, one] = shared / union if union else 0.0
    return Agreement(names, rank, overlap)
