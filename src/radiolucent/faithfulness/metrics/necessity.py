"""Is the region that a map names needed for the words, and is it enough? Both as shares of the picture's own worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from radiolucent.errors import MalformedInput
from radiolucent.faithfulness.metrics.inputs import Cells, ScoreHidden, checked_scores


@dataclass(frozen=True)
class NecessityAndSufficiency:
    """What a region is worth.

    Parameters
    ----------
    effect
        Score lost with the region hidden.
    kept
        Score lost with everything else hidden.
    total
        Score lost with the whole picture hidden.
    necessity
        effect / total: 1 where the region alone carries the words, 0 where they do without it; beyond 0 to 1 where
        regions work against each other. None where total is too small to be divided by.
    sufficiency
        1 - kept / total: 1 where the region alone gives the words all that the picture gives. None as above.
    """

    effect: float
    kept: float
    total: float
    necessity: float | None
    sufficiency: float | None


def necessity_and_sufficiency(
    region: Cells, score: ScoreHidden, *, inside: Cells | None = None, least: float
) -> NecessityAndSufficiency:
    """Hide the region; hide everything but the region; hide everything: three interventions, four scores.

    Parameters
    ----------
    region
        Bool (frames, g, g), such as :func:`radiolucent.attribution.regions.top_region` of a map; not empty.
    score
        Hidden cells -> scores, see :data:`radiolucent.faithfulness.metrics.inputs.ScoreHidden`; called once.
    inside
        Cells of the picture; every cell where None.
    least
        Below this total the shares are None: a share of a loss near 0 means nothing.

    Raises
    ------
    MalformedInput
        Where the region is empty or reaches outside the picture, the shapes disagree, or a score is not finite.

    References
    ----------
    Sufficiency and comprehensiveness: DeYoung et al. 2020 (ERASER), ACL, as shares of the whole picture's loss.
    """
    chosen = np.asarray(region, dtype=bool)
    cells = np.ones(chosen.shape, dtype=bool) if inside is None else np.asarray(inside, dtype=bool)
    if chosen.ndim != 3 or cells.shape != chosen.shape:
        raise MalformedInput(
            f"A region of shape {chosen.shape} and cells of shape {cells.shape}; expected (frames, g, g) for both."
        )
    if not chosen.any():
        raise MalformedInput("The region is empty; a map without a positive cell names no region to test.")
    if (chosen & ~cells).any():
        raise MalformedInput("The region reaches outside the picture; cut it to the picture's cells first.")
    sets = np.stack([np.zeros_like(chosen), chosen, cells & ~chosen, cells])
    whole, without, alone, nothing = checked_scores(score, sets)
    effect, kept, total = float(whole - without), float(whole - alone), float(whole - nothing)
    return NecessityAndSufficiency(effect, kept, total, *shares_of_total(effect, kept, total, least=least))


def shares_of_total(effect: float, kept: float, total: float, *, least: float) -> tuple[float | None, float | None]:
    """Necessity and sufficiency from three losses, as in :class:`NecessityAndSufficiency`; None below ``least``."""
    if total < least or total <= 0:
        return None, None
    return effect / total, 1 - kept / total
