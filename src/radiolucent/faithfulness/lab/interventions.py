"""All perturbations of a film's maps gathered first, then run in big batches, equal ones once.

The metrics ask for the scores of hidden cells through a callback. Here the callback first only notes what is asked and
answers zeros; after :meth:`Interventions.run` it answers with the model's scores. So each metric is computed twice
(cheap), and the model never runs for one metric of one map alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from radiolucent.attribution.interventions import hidden_scores
from radiolucent.attribution.model import ExplainableModel
from radiolucent.attribution.targets import BATCH, scores, soft_rows
from radiolucent.faithfulness.metrics import Cells, ScoreHidden, impute
from radiolucent.vlm.types import Features, Generation, Target

CurveFill = Literal["mean", "blur", "blank", "counterfactual", "road"]
CURVE_FILLS: tuple[CurveFill, ...] = get_args(CurveFill)


class Interventions:
    """Scores of one film's targets with cells hidden.

    Parameters
    ----------
    others
        For each target the film without its lesion; None where there is none.
    inside
        Bool (frames, g, g): cells of the picture.
    seed
        Of the noise that ROAD adds to filled cells.

    Attributes
    ----------
    pictures
        Perturbed pictures scored so far.
    """

    def __init__(
        self,
        model: ExplainableModel,
        features: Features,
        generation: Generation,
        targets: Sequence[Target],
        others: Sequence[Features | None],
        inside: Cells,
        *,
        seed: int = 0,
        batch: int = BATCH,
    ) -> None:
        self._model, self._features, self._generation = model, features, generation
        self._targets, self._others, self._inside = targets, others, inside
        self._seed, self._batch = seed, batch
        self._wanted: dict[tuple[CurveFill, int | None], dict[bytes, Cells]] = {}
        self._known: dict[tuple[CurveFill, int, bytes], float] = {}
        self.pictures = 0

    def fills(self, target: int, wanted: Sequence[CurveFill]) -> list[CurveFill]:
        """The fills that this target can have: a counterfactual only where there is one."""
        return [fill for fill in wanted if fill != "counterfactual" or self._others[target] is not None]

    def asking(self, target: int, fill: CurveFill) -> ScoreHidden:
        """The callback of a metric: scores of the target's place among the targets, zeros for what has not run yet."""
        group = self._wanted.setdefault((fill, target if fill == "counterfactual" else None), {})

        def score(hidden: Cells) -> NDArray[np.float64]:
            found = np.zeros(len(hidden))
            for index, cells in enumerate(hidden):
                key = np.packbits(cells).tobytes()
                known = self._known.get((fill, target, key))
                if known is None:
                    group.setdefault(key, cells)
                else:
                    found[index] = known
            return found

        return score

    def run(self) -> None:
        """Score everything that was asked for."""
        for (fill, only), group in self._wanted.items():
            if not group:
                continue
            members = range(len(self._targets)) if only is None else [only]
            targets = [self._targets[member] for member in members]
            regions = np.stack(list(group.values()))
            found = self._road(targets, regions) if fill == "road" else self._hidden(targets, regions, fill, only)
            self.pictures += len(regions)
            for key, row in zip(group, found, strict=True):
                self._known.update({(fill, member, key): float(one) for member, one in zip(members, row, strict=True)})
            group.clear()

    def _hidden(
        self,
        targets: Sequence[Target],
        regions: Cells,
        fill: Literal["mean", "blur", "blank", "counterfactual"],
        only: int | None,
    ) -> NDArray[np.float64]:
        other = None if only is None else self._others[only]
        return hidden_scores(
            self._model,
            self._features,
            self._generation,
            targets,
            regions,
            fill=fill,
            batch=self._batch,
            other=other,
        )

    def _road(self, targets: Sequence[Target], regions: Cells) -> NDArray[np.float64]:
        rows = soft_rows(self._features)
        frames, grid, _ = self._inside.shape
        tokens = rows.reshape(frames, grid, grid, -1).cpu().numpy()
        parts = []
        for start in range(0, len(regions), self._batch):
            some = regions[start : start + self._batch]
            filled = impute(tokens, some, inside=self._inside, seed=self._seed + start)
            shown = torch.from_numpy(filled).to(rows).reshape(len(some), -1, rows.shape[-1])
            parts.append(scores(self._model, self._generation, shown, targets, batch=self._batch).numpy())
        return np.concatenate(parts)
